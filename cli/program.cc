#include "cli/program.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <exception>
#include <optional>

#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/usage_error.h"
#include "cli/verb.h"
#include "protocol/io/own_limits.h"
#include "protocol/wire/signals.h"

namespace bgtask::cli {
namespace {

/// Several times what any verb has been seen to take.
constexpr std::uint64_t kLeastStack = 32 * 1024;

// The command line, taken apart as far as it does not depend on the verb.
struct Invocation {
  std::optional<std::string> pool;
  bool help = false;
  bool version = false;
  std::string verb;  // empty: none given
  std::vector<std::string> rest;
};

Invocation take_apart(const std::vector<std::string>& arguments) {
  Invocation result;
  std::size_t i = 0;
  for (; i < arguments.size() && arguments[i].starts_with("-"); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-h" || argument == "--help") {
      result.help = true;
    } else if (argument == "-V" || argument == "--version") {
      result.version = true;
    } else if (argument.starts_with("--pool=")) {
      result.pool = argument.substr(7);
    } else if (argument == "--pool") {
      if (i + 1 == arguments.size()) throw UsageError("--pool needs a value");
      result.pool = arguments[++i];
    } else {
      break;  // an option of ls, which needs not be said
    }
  }
  if (i < arguments.size() && !arguments[i].starts_with("-")) result.verb = arguments[i++];
  result.rest.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
  return result;
}

std::string overview() {
  std::string text =
      "bgtask: background tasks that can be found again\n\n"
      "Usage: bgtask [--pool DIR] [VERB] [options] [arguments]\n\nVerbs:\n";
  for (const auto& entry : verbs()) {
    std::string line = "  " + std::string(entry.name);
    line.resize(std::max<std::size_t>(line.size() + 1, 12), ' ');
    line += entry.summary;
    if (!entry.aliases.empty()) line += " (also: " + std::string(entry.aliases) + ")";
    text += line + "\n";
  }
  text +=
      "\nOptions:\n"
      "  --pool DIR     the directory of tasks, before or after the verb (default: $BGTASK_POOL, else\n"
      "                 /var/run/bgtask for root, $XDG_RUNTIME_DIR/bgtask or /var/run/bgtask/UID)\n"
      "  -h, --help     this text; 'bgtask VERB --help' explains a verb\n"
      "  -V, --version\n\n"
      "A TASK is a pid, a name or @last (the newest). -l K=V, --state and --where narrow, -a means all.\n"
      "Exit status: the task's own for 'wait' and 'run --wait', 128+n for a signal, 124 when the time is "
      "up,\n"
      "125 when bgtask itself failed, 126 and 127 for a command that cannot be executed or found.\n\n"
      "Examples:\n"
      "  bgtask run -n web ./server --port 80\n"
      "  bgtask logs -f web\n"
      "  bgtask ls -l team=web\n"
      "  bgtask stop web && bgtask delete web\n";
  return text;
}

// "kill -9", "kill -TERM" and "kill -term", as fingers know them.
std::vector<std::string> with_signal_option(std::vector<std::string> arguments) {
  for (auto& argument : arguments) {
    if (argument == "--") break;
    if (argument.size() < 2 || argument[0] != '-') continue;
    const std::string name = argument.substr(1);
    const bool number =
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (number || wire::signal_number(std::string_view(name))) argument = "--signal=" + name;
  }
  return arguments;
}

int run_verb(const VerbEntry& entry, Invocation invocation, bool help_only) {
  Command command(std::string(entry.name), std::string(entry.summary));
  const auto verb = entry.make();
  verb->declare(command);
  command.option("--pool", "DIR", "the directory of tasks",
                 [&invocation](const std::string& path) { invocation.pool = path; });
  if (help_only) {
    write_stdout(command.help());
    return 0;
  }
  if (entry.name == "kill") invocation.rest = with_signal_option(std::move(invocation.rest));
  std::vector<std::string> positionals;
  try {
    positionals = command.parse(invocation.rest);
  } catch (const HelpRequested& help) {
    write_stdout(help.what());
    return 0;
  }
  Session session(invocation.pool);
  return verb->execute(session, positionals);
}

const VerbEntry& known_verb(const std::string& name) {
  if (const VerbEntry* entry = find_verb(name)) return *entry;
  const auto similar = similar_verb(name);
  throw UsageError("there is no verb '" + name + "'" +
                   (similar.empty() ? std::string() : "; did you mean '" + similar + "'?") +
                   " ('bgtask --help' lists them)");
}

int dispatch(const std::vector<std::string>& arguments) {
  Invocation invocation = take_apart(arguments);
  if (invocation.version) {
    write_stdout("bgtask " BGTASK_VERSION "\n");
    return 0;
  }
  if (const std::string limit = io::stack_left_below(kLeastStack); !limit.empty()) {
    say(limit);  // not thrown: that takes stack
    return kExitFailure;
  }
  const bool help_verb = invocation.verb == "help";
  if (help_verb) invocation.verb = invocation.rest.empty() ? "" : invocation.rest.front();
  if ((help_verb || invocation.help) && invocation.verb.empty()) {
    write_stdout(overview());
    return 0;
  }
  const VerbEntry& entry = known_verb(invocation.verb.empty() ? "ls" : invocation.verb);
  const bool help_only = help_verb || invocation.help;
  return run_verb(entry, std::move(invocation), help_only);
}

}  // namespace

int run_program(const std::vector<std::string>& arguments) {
  try {
    return dispatch(arguments);
  } catch (const std::exception& error) {
    say(error.what());
  }
  return kExitFailure;
}

}  // namespace bgtask::cli
