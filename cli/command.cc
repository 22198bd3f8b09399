#include "cli/command.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <memory>
#include <string_view>

#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

// CLI11 builds the usage line from positionals, which it is not told about here.
class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::string arguments) : arguments_(std::move(arguments)) { column_width(34); }
  std::string make_usage(const CLI::App*, std::string name) const override {
    return "\nUsage: bgtask " + name + " [options]" + (arguments_.empty() ? "" : " " + arguments_) + "\n";
  }

 private:
  std::string arguments_;
};

std::string join(const std::vector<std::string>& parts, const std::string& separator) {
  std::string text;
  for (const auto& part : parts)
    text += (text.empty() ? "" : separator) + part;
  return text;
}

std::string examples_text(const std::vector<std::string>& lines) {
  std::string text = "Examples:";
  for (const auto& line : lines)
    text += "\n  " + line;
  return text;
}

// Whether an option with those names ("-f,--follow") has the name.
bool has_name(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const size_t end = std::min(names.find(','), names.size());
    if (names.substr(0, end) == name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

std::string plain_message(const CLI::Error& error) {
  if (const auto* extras = dynamic_cast<const CLI::ExtrasError*>(&error)) {
    const std::string text = extras->what();
    const auto colon = text.rfind(": ");
    return "unknown option" + (colon == std::string::npos ? std::string() : " " + text.substr(colon + 2));
  }
  return error.what();
}

}  // namespace

Command::Command(std::string verb, std::string description)
    : verb_(std::move(verb)), description_(std::move(description)) {}

void Command::flag(const std::string& names, const std::string& help, bool* target) {
  flag(names, help, [target] { *target = true; });
}

void Command::flag(const std::string& names, const std::string& help, std::function<void()> action) {
  specs_.push_back({names, "", help, false, [action = std::move(action)](const std::string&) { action(); }});
}

void Command::option(const std::string& names, const std::string& value, const std::string& help,
                     std::string* target) {
  option(names, value, help, [target](const std::string& given) { *target = given; });
}

void Command::option(const std::string& names, const std::string& value, const std::string& help,
                     Setter setter) {
  specs_.push_back({names, value, help, false, std::move(setter)});
}

void Command::options(const std::string& names, const std::string& value, const std::string& help,
                      std::vector<std::string>* target) {
  options(names, value, help, [target](const std::string& given) { target->push_back(given); });
}

void Command::options(const std::string& names, const std::string& value, const std::string& help,
                      Setter setter) {
  specs_.push_back({names, value, help, true, std::move(setter)});
}

void Command::choice(const std::string& names, std::vector<std::string> words, const std::string& help,
                     std::string* target) {
  const std::string shown = join(words, "|");
  option(names, shown, help, [target, words = std::move(words), shown](const std::string& given) {
    if (std::find(words.begin(), words.end(), given) == words.end()) {
      throw UsageError("'" + given + "' is not one of " + shown);
    }
    *target = given;
  });
}

bool Command::takes_value(std::string_view name) const {
  return std::any_of(specs_.begin(), specs_.end(),
                     [name](const Spec& spec) { return !spec.value.empty() && has_name(spec.names, name); });
}

// Whether the argument after this option belongs to it: "--name" and "-n" do, "--name=x", "-nx" and flags do
// not.
bool Command::option_wants_next(const std::string& argument) const {
  if (argument.starts_with("--")) return takes_value(argument);
  for (size_t i = 1; i < argument.size(); ++i) {
    if (takes_value(std::string("-") + argument[i])) return i + 1 == argument.size();
  }
  return false;
}

Command::Split Command::split(const std::vector<std::string>& arguments) const {
  Split result;
  size_t i = 0;
  const auto take_rest = [&] {
    result.positionals.insert(result.positionals.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i),
                              arguments.end());
  };
  for (; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      ++i;
      take_rest();
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      if (stop_at_positional_) {
        take_rest();
        break;
      }
      result.positionals.push_back(argument);
      continue;
    }
    result.options.push_back(argument);
    if (!option_wants_next(argument)) continue;
    if (i + 1 == arguments.size()) throw UsageError(verb_ + ": " + argument + " needs a value");
    result.options.push_back(arguments[++i]);
  }
  return result;
}

namespace {

template <typename Specs>
std::unique_ptr<CLI::App> make_app(const std::string& verb, const std::string& description,
                                   const std::string& usage, const std::vector<std::string>& examples,
                                   const Specs& specs) {
  auto app = std::make_unique<CLI::App>(description, verb);
  app->formatter(std::make_shared<HelpFormatter>(usage));
  app->set_help_flag("-h,--help", "this text");
  if (!examples.empty()) app->footer(examples_text(examples));
  for (const auto& spec : specs) {
    const auto take = [&spec, verb](const CLI::results_t& values) {
      for (const auto& value : values) {
        try {
          spec.setter(value);
        } catch (const UsageError& error) {
          const auto name = spec.names.substr(spec.names.rfind(',') + 1);
          throw UsageError(verb + ": " + name + ": " + error.what());
        }
      }
      return true;
    };
    if (spec.value.empty()) {
      app->add_flag_callback(
          spec.names, [&spec] { spec.setter(""); }, spec.help);
      continue;
    }
    CLI::Option* option = app->add_option(spec.names, take, spec.help);
    // One value each time, whatever it looks like: without this "-l a=b 4711" would swallow the pid.
    option->type_size(1)->expected(1)->allow_extra_args(false)->option_text(spec.value);
    option->multi_option_policy(spec.many ? CLI::MultiOptionPolicy::TakeAll
                                          : CLI::MultiOptionPolicy::TakeLast);
  }
  return app;
}

}  // namespace

std::vector<std::string> Command::parse(const std::vector<std::string>& arguments) const {
  Split parts = split(arguments);
  if (parts.options.empty())
    return std::move(parts.positionals);  // to declare them takes longer than most verbs
  const auto app = make_app(verb_, description_, usage_, examples_, specs_);
  std::reverse(parts.options.begin(), parts.options.end());  // CLI11 wants them so
  try {
    app->parse(parts.options);
  } catch (const CLI::CallForHelp&) {
    throw HelpRequested(app->help());
  } catch (const CLI::Error& error) {
    throw UsageError(verb_ + ": " + plain_message(error) + "; see 'bgtask " + verb_ + " --help'");
  }
  return std::move(parts.positionals);
}

std::string Command::help() const {
  return make_app(verb_, description_, usage_, examples_, specs_)->help();
}

}  // namespace bgtask::cli
