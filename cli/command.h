// The command line of one verb: a thin layer over CLI11, which only command.cc includes.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bgtask::cli {

/// Thrown by Command::parse for --help; what() is the text.
class HelpRequested : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Declares a verb's options and parses its arguments.
///
/// Options go through CLI11. What is not an option never does: it comes back byte for byte, in order.
///
/// \code
/// Command command("kill", "Send a signal.");
/// command.usage("[TASK…]");
/// command.option("-s,--signal", "SIG", "what to send", &signal);
/// auto positionals = command.parse({"-s", "TERM", "4711"});   // {"4711"}
/// \endcode
class Command {
 public:
  /// What happens with an option's value; throws UsageError if it is not acceptable (the name is put before
  /// it).
  using Setter = std::function<void(const std::string&)>;

  Command(std::string verb, std::string description);

  /// The arguments after the options, as they are shown in the usage line.
  void usage(std::string arguments) { usage_ = std::move(arguments); }
  /// Lines shown under "Examples:".
  void examples(std::vector<std::string> lines) { examples_ = std::move(lines); }
  /// The first positional ends the options: it and everything after it is handed back as given.
  void stop_at_first_positional() { stop_at_positional_ = true; }

  /// `names` as CLI11 has them: "-f,--follow".
  void flag(const std::string& names, const std::string& help, bool* target);
  void flag(const std::string& names, const std::string& help, std::function<void()> action);
  /// An option with a value. Given twice, the last one counts.
  void option(const std::string& names, const std::string& value, const std::string& help,
              std::string* target);
  void option(const std::string& names, const std::string& value, const std::string& help, Setter setter);
  /// An option that may be given several times; every value is taken.
  void options(const std::string& names, const std::string& value, const std::string& help,
               std::vector<std::string>* target);
  void options(const std::string& names, const std::string& value, const std::string& help, Setter setter);
  /// An option that takes one of the words given.
  void choice(const std::string& names, std::vector<std::string> words, const std::string& help,
              std::string* target);

  /// Returns the positionals. \throws UsageError, HelpRequested
  std::vector<std::string> parse(const std::vector<std::string>& arguments) const;
  /// The text of --help.
  std::string help() const;

 private:
  struct Spec {
    std::string names;
    std::string value;  // empty: a flag
    std::string help;
    bool many = false;
    Setter setter;
  };
  struct Split {
    std::vector<std::string> options;
    std::vector<std::string> positionals;
  };

  bool takes_value(std::string_view name) const;
  bool option_wants_next(const std::string& argument) const;
  Split split(const std::vector<std::string>& arguments) const;

  std::string verb_;
  std::string description_;
  std::string usage_;
  std::vector<std::string> examples_;
  bool stop_at_positional_ = false;
  std::vector<Spec> specs_;
};

}  // namespace bgtask::cli
