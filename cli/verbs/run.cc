// bgtask run: start a task.

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <memory>

#include "cli/conditions.h"
#include "cli/console.h"
#include "cli/exec_hint.h"
#include "cli/exit_status.h"
#include "cli/interruption.h"
#include "cli/run_options.h"
#include "cli/sizes_and_times.h"
#include "cli/stay.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class RunVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[--] CMD [ARG…]");
    command.stop_at_first_positional();
    command.examples({"bgtask run sleep 100                  # prints the pid, the task's id",
                      "bgtask run -n web -m team=web --limit nofile=4096 -- ./server --port 80",
                      "bgtask run -c 'make 2>&1 | tee log'   # through /bin/sh",
                      "bgtask run --wait --timeout 10m ./backup; echo $?   # 124: it was stopped",
                      "bgtask run --rm -f ./report > report.txt", "bgtask run --rm -f -i sort < names.txt",
                      "bgtask run -n db --if-exists attach ./database",
                      "bgtask run --behavior foreground ./server    # as a service's ExecStart"});
    declare_command(command);
    declare_keeping(command);
    declare_life(command);
    declare_ending(command);
    declare_staying(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    check(positionals);
    options_.exec = positionals;
    options_.cmd = shell_;
    const TaskPool& pool = session.pool_made_if_missing();
    try {
      if (foreground())
        pool.exec_supervisor(options_, {.forward_output = follow_, .end_with_command = remove_});
      std::optional<Interruption> interruption;  // from before the start, or a signal might fall in between
      if (stays()) interruption.emplace();
      Obtained obtained = obtain(pool);
      return attend(obtained.task, obtained.started, interruption ? &*interruption : nullptr);
    } catch (const Error& error) {
      const int status = exit_status_of_failure(error);
      const std::string hint = status == kExitFailure ? "" : exec_hint(options_, error.os_error());
      say(error.what() + (hint.empty() ? "" : "; " + hint));
      return status;
    }
  }

 private:
  void declare_command(Command& command) {
    command.option("-c,--shell", "TEXT", "run TEXT with /bin/sh -c instead of CMD", &shell_);
    command.options("-e,--env", "K=V|K", "set a variable; K alone: the value it has here",
                    [this](const std::string& text) { add_environment(options_, text); });
    command.options("--env-file", "FILE", "such lines from a file",
                    [this](const std::string& text) { add_environment_file(options_, text); });
    command.flag("--clear-env", "begin with an empty environment", &options_.clear_env);
    command.option("-w,-C,--workdir,--cwd", "DIR", "run in this directory", &options_.cwd);
    command.option("-u,--user", "USER", "as this user, by name or number (needs root)", &options_.user);
    command.option("--umask", "OCTAL", "file mode creation mask",
                   [this](const std::string& text) { options_.umask = parse_umask(text); });
    command.options("--limit", "NAME=SOFT[:HARD]", "a resource limit: nofile, core, as, cpu, fsize, nproc, …",
                    [this](const std::string& text) { add_limit(options_, text); });
    command.option("--memory", "SIZE", "all its processes together may use so much (needs a control group)",
                   [this](const std::string& text) { options_.memory = parse_size(text); });
    command.option("--cpus", "N", "and so many processors, e.g. 0.5",
                   [this](const std::string& text) { options_.cpus = parse_cpus(text); });
    command.option("--nice", "N", "added to the niceness",
                   [this](const std::string& text) { options_.nice = parse_nice(text); });
    command.flag(
        "-i,--interactive",
        "keep stdin open for 'bgtask send' (else it is /dev/null); with -f ours is passed on, and its end",
        &interactive_);
  }

  void declare_keeping(Command& command) {
    command.option("-n,--name", "NAME", "the task's name: meta.name", [this](const std::string& text) {
      check_task_name({{"name", text}});
      name_ = text;
    });
    command.options("-m,--meta,--label", "K=V", "metadata, as for 'bgtask meta'",
                    [this](const std::string& text) { add_meta(options_, text); });
    command.options("--meta-json", "K=JSON", "metadata that is this JSON, whatever it is",
                    [this](const std::string& text) { add_meta_json(options_, text); });
    command.option("--buffer", "SIZE", "how much output is kept, for each stream (default: 1M)",
                   [this](const std::string& text) { options_.buffer = parse_size(text); });
    command.option("--retain", "SIZE", "how much stays readable after it was consumed (default: 0)",
                   [this](const std::string& text) { options_.retain_output = parse_size(text); });
    command.choice("--overflow", {"drop", "block"},
                   "when it is full: drop the oldest (default, but for --rm -f), or let the task wait",
                   &overflow_);
    command.choice("--rings", {"file", "memory"},
                   "keep output in files (default), or only as long as the supervisor lives", &rings_);
  }

  void declare_life(Command& command) {
    command.choice(
        "--behavior", {"daemon", "background", "foreground"},
        "outlive this session (default), end with it, or do not detach: this process becomes the supervisor, "
        "lasts until the task is deleted, and takes HUP, INT and TERM as: delete it",
        &behavior_);
    command.option("--lock-file", "FILE", "start only if FILE can be locked; held while the command runs",
                   &options_.lock_file);
    command.option("--share-with", "GROUP", "let members of GROUP watch the task, not steer it",
                   &options_.share_with);
    command.choice("--on-supervisor-death", {"keep", "kill"},
                   "what becomes of the command then (default: keep)", &on_death_);
    command.choice("--if-exists", {"attach", "fail", "replace", "restart"},
                   "with --name, if there is a task of that name: use it, fail, delete it first, or use it "
                   "after running "
                   "it again if it has ended",
                   &if_exists_);
  }

  void declare_ending(Command& command) {
    command.option("--timeout", "TIME",
                   "stop the task when it has run for so long; with --wait or -f the status is then 124",
                   [this](const std::string& text) { options_.timeout = Seconds(parse_duration(text)); });
    command.option("--stop-signal", "SIG", "what asks the task to end, for that, 'stop' and 'delete' (TERM)",
                   [this](const std::string& text) { options_.stop_signal = parse_stop_signal(text); });
    command.option("--stop-grace,--stop-timeout", "TIME", "between that signal and KILL (10s; for delete 3s)",
                   [this](const std::string& text) { options_.stop_grace = Seconds(parse_duration(text)); });
  }

  void declare_staying(Command& command) {
    command.flag("--wait", "wait for the end; exit with the task's status", &wait_);
    command.flag("-f,--follow",
                 "the same, with its stdout on stdout and its stderr on stderr, where the pid is said too",
                 &follow_);
    command.option("--wait-timeout", "TIME",
                   "with --wait or -f: give up waiting after so long, with status 124; the task goes on",
                   [this](const std::string& text) { wait_timeout_ = Seconds(parse_duration(text)); });
    command.flag("--rm", "with --wait or -f: delete the task then, and when interrupted", &remove_);
  }

  bool foreground() const { return behavior_ == "foreground"; }
  bool stays() const { return wait_ || follow_; }

  void check(const std::vector<std::string>& positionals) {
    if (shell_given() == !positionals.empty()) {
      throw UsageError(positionals.empty() ? "run: what? Give a command, or -c TEXT"
                                           : "run: a command and -c exclude each other");
    }
    if ((wait_timeout_ || remove_) && !stays())
      throw UsageError("run: --wait-timeout and --rm need --wait or -f");
    if (!if_exists_.empty() && name_.empty()) throw UsageError("run: --if-exists needs --name");
    if (foreground()) check_foreground();
    if (!name_.empty()) options_.meta["name"] = name_;
    check_task_name(options_.meta);
    options_.stdin = interactive_ ? StdinMode::kPipe : StdinMode::kNull;
    const bool block = overflow_ == "block" || (overflow_.empty() && takes_output());
    options_.overflow = block ? Overflow::kBlock : Overflow::kDrop;
    options_.rings = rings_ == "memory" ? Rings::kMemory : Rings::kFile;
    options_.on_supervisor_death = on_death_ == "kill" ? OnSupervisorDeath::kKill : OnSupervisorDeath::kKeep;
    if (behavior_ == "background") options_.behavior = Behavior::kBackground;
    if (foreground()) options_.behavior = Behavior::kForeground;
  }

  void check_foreground() const {
    if (!if_exists_.empty()) throw UsageError("run: --if-exists does not go with --behavior foreground");
    if (wait_timeout_) throw UsageError("run: --wait-timeout does not go with --behavior foreground");
    if (stays() && !remove_)
      throw UsageError(
          "run: --behavior foreground with --wait or -f needs --rm, for the process becomes the task's "
          "supervisor "
          "and ends with the task");
  }

  struct Obtained {
    Task task;
    bool started;  // false: it was there before
  };

  int attend(Task& task, bool started, Interruption* interruption) {
    if (follow_) {
      say("task " + std::to_string(task.pid()));
    } else if (!print_pid(task, started)) {
      return kExitFailure;
    }
    if (!stays()) return 0;
    return stay_with(task,
                     {.follow = follow_,
                      .take = takes_output(),
                      .forward_stdin = follow_ && interactive_,
                      .remove = remove_,
                      .wait_timeout = wait_timeout_},
                     *interruption);
  }

  // A task whose pid nobody learns is withdrawn.
  static bool print_pid(Task& task, bool started) {
    const std::string pid = std::to_string(task.pid());
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    try {
      write_stdout(pid + "\n");
      std::signal(SIGPIPE, before);
      return true;
    } catch (const ConsoleError& error) {
      if (started) task.remove();
      say(std::string(error.what()) + "; " +
          (started ? "the task is withdrawn" : "the task's pid is " + pid));
      return false;
    }
  }

  // 126 and 127 are about the command alone: a missing supervisor (named in the error's data) or a bad
  // working directory is exec_failed too, but not what a caller who looks for 127 means.
  static int exit_status_of_failure(const Error& error) {
    const bool about_supervisor = error.data().is_object() && error.data().contains("supervisor");
    const bool about_directory = std::string_view(error.what()).find("('cwd')") != std::string_view::npos;
    if (error.code() != "exec_failed" || error.os_error() == 0 || about_supervisor || about_directory) {
      return kExitFailure;
    }
    return error.os_error() == ENOENT ? kExitNotFound : kExitNotExecutable;
  }

  bool shell_given() const { return !shell_.empty(); }

  IfExists policy() const {
    if (if_exists_ == "fail") return IfExists::kFail;
    if (if_exists_ == "replace") return IfExists::kReplace;
    return if_exists_ == "restart" ? IfExists::kRestart : IfExists::kAttach;
  }

  // A new task, or the one --if-exists says.
  Obtained obtain(const TaskPool& pool) {
    if (!if_exists_.empty()) {
      const StartedOnce once = pool.start_once(options_, policy());
      if (policy() == IfExists::kRestart && !once.started && !once.restarted)
        say(std::to_string(once.task.pid()) + " is still running, nothing done");
      return {once.task, once.started};
    }
    if (!name_.empty()) warn_of_namesakes(pool);
    return {pool.spawn(options_), true};
  }

  void warn_of_namesakes(const TaskPool& pool) const {
    const Json pattern = {{"meta", {{"name", name_}}}, {"status", {{"running", true}}}};
    std::string pids;
    for (const Task& task : pool.search(pattern))
      pids += (pids.empty() ? "" : ", ") + std::to_string(task.pid());
    if (!pids.empty())
      say("a running task is named " + name_ + " already: " + pids + "; --if-exists says what to do then");
  }

  // Output that nobody else will see, or that the task waits to have taken, is taken as it is printed: all of
  // it arrives, however fast the task and however slow our reader.
  bool takes_output() const { return follow_ && (remove_ || overflow_ == "block"); }

  // A name, or a number as the shell's kill takes it.
  static Signal parse_stop_signal(const std::string& text) {
    const bool number =
        !text.empty() && text.size() < 4 &&
        std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
    if (number) return std::stoi(text);
    return text;
  }

  SpawnOptions options_;
  std::string shell_, name_, overflow_, rings_, behavior_, on_death_, if_exists_;
  bool interactive_ = false, wait_ = false, follow_ = false, remove_ = false;
  std::optional<Seconds> wait_timeout_;
};

}  // namespace

VerbEntry run_verb() {
  return {"run", "spawn add", "start a task; prints its pid",
          []() -> std::unique_ptr<Verb> { return std::make_unique<RunVerb>(); }};
}

}  // namespace bgtask::cli
