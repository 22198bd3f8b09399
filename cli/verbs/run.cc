// bgtask run: start a task.

#include <cerrno>
#include <chrono>
#include <map>
#include <memory>

#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/follow.h"
#include "cli/log_printer.h"
#include "cli/named_start.h"
#include "cli/run_options.h"
#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

using Clock = std::chrono::steady_clock;

class RunVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[--] CMD [ARG…]");
    command.stop_at_first_positional();
    command.examples({"bgtask run sleep 100                  # prints the pid, the task's id",
                      "bgtask run -n web -m team=web --limit nofile=4096 -- ./server --port 80",
                      "bgtask run -c 'make 2>&1 | tee log'   # through /bin/sh",
                      "bgtask run --wait --timeout 10m ./backup; echo $?",
                      "bgtask run --rm -f ./report > report.txt",
                      "bgtask run -n db --if-exists attach ./database",
                      "bgtask run --behavior foreground ./server    # as a service's ExecStart"});
    declare_command(command);
    declare_keeping(command);
    declare_life(command);
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
      return attend(obtain(pool));
    } catch (const Error& error) {
      say(error.what());
      return exit_status_of_failure(error);
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
    command.flag("-i,--interactive", "keep stdin open for 'bgtask send' (else it is /dev/null)",
                 &interactive_);
  }

  void declare_keeping(Command& command) {
    command.option("-n,--name", "NAME", "the task's name: meta.name", &name_);
    command.options("-m,--meta,--label", "K=V", "metadata, as for 'bgtask meta'",
                    [this](const std::string& text) { add_meta(options_, text); });
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

  void declare_staying(Command& command) {
    command.flag("--wait", "wait for the end; exit with the task's status", &wait_);
    command.flag("-f,--follow", "the same, with its output on stdout (the pid is said on stderr)", &follow_);
    command.option("--timeout", "TIME",
                   "with --wait or -f: give up after so long, with status 124; the task goes on",
                   [this](const std::string& text) { timeout_ = Seconds(parse_duration(text)); });
    command.flag("--rm", "with --wait or -f: delete the task then", &remove_);
  }

  bool foreground() const { return behavior_ == "foreground"; }
  bool stays() const { return wait_ || follow_; }

  void check(const std::vector<std::string>& positionals) {
    if (shell_given() == !positionals.empty()) {
      throw UsageError(positionals.empty() ? "run: what? Give a command, or -c TEXT"
                                           : "run: a command and -c exclude each other");
    }
    if ((timeout_ || remove_) && !stays()) throw UsageError("run: --timeout and --rm need --wait or -f");
    if (!if_exists_.empty() && name_.empty()) throw UsageError("run: --if-exists needs --name");
    if (foreground()) check_foreground();
    if (!name_.empty()) options_.meta["name"] = name_;
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
    if (stays() && !remove_)
      throw UsageError(
          "run: --behavior foreground with --wait or -f needs --rm, for the process becomes the task's "
          "supervisor "
          "and ends with the task");
  }

  int attend(Task task) {
    const std::string pid = std::to_string(task.pid());
    follow_ ? say("task " + pid) : write_stdout(pid + "\n");
    return stay(task);
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

  // A new task, or the one --if-exists says.
  Task obtain(const TaskPool& pool) {
    std::unique_ptr<NamedStartLock> lock;
    if (!if_exists_.empty()) {
      lock = std::make_unique<NamedStartLock>(pool);
      if (auto existing = settle_existing(pool, name_, if_exists_)) return *existing;
    }
    return pool.spawn(options_);
  }

  int stay(Task& task) {
    if (!stays()) return 0;
    int status = kExitFailure;
    try {
      status = wait_for_end(task);
    } catch (const Error& error) {
      // Deleted by a signal passed on, or by someone else, while we waited.
      if (error.code() != "not_found" && error.code() != "lost") throw;
      say(error.what());
      return status;
    }
    if (remove_) task.remove();
    return status;
  }

  int wait_for_end(Task& task) {
    const auto begin = Clock::now();
    if (follow_ && print_output(task) == FollowEnd::kTimeout) return timed_out(task);
    WaitOptions options;
    if (timeout_) options.timeout = std::max(Seconds(0), *timeout_ - Seconds(Clock::now() - begin));
    const auto result = task.wait(options);
    return result.fired == "timeout" ? timed_out(task) : exit_status_of(result.status);
  }

  // Output that nobody else will see, or that the task waits to have taken, is taken as it is printed: all of
  // it arrives, however fast the task and however slow our reader.
  bool takes_output() const { return follow_ && (remove_ || overflow_ == "block"); }

  static void take_printed(const Task& task, const Output& output) {
    std::map<std::string, std::uint64_t> ends;
    for (const auto& chunk : output.chunks) {
      ends[chunk.stream] = chunk.offset + (chunk.stream == "data" ? 1 : chunk.data.size());
    }
    for (const auto& [stream, end] : ends)
      task.stream(stream).discard(end);
  }

  FollowEnd print_output(Task& task) const {
    const LogStyle style{.harmless = stdout_is_terminal()};
    LogPrinter printer(style);
    std::vector<std::string> streams = {"stdout", "stderr"};
    if (takes_output()) streams.push_back("data");  // or a task that says much there would wait for ever
    const auto end = follow_output(task, {.streams = streams}, timeout_, [&](const Output& output) {
      say_loss(output.lost);
      for (const auto& chunk : output.chunks) {
        if (chunk.stream != "data") printer.take(chunk);
      }
      if (takes_output()) take_printed(task, output);
      return true;
    });
    printer.finish();
    return end;
  }

  static int timed_out(const Task& task) {
    say(std::to_string(task.pid()) + ": the time is up");
    return kExitTimeout;
  }

  SpawnOptions options_;
  std::string shell_, name_, overflow_, rings_, behavior_, on_death_, if_exists_;
  bool interactive_ = false, wait_ = false, follow_ = false, remove_ = false;
  std::optional<Seconds> timeout_;
};

}  // namespace

VerbEntry run_verb() {
  return {"run", "spawn add", "start a task; prints its pid",
          []() -> std::unique_ptr<Verb> { return std::make_unique<RunVerb>(); }};
}

}  // namespace bgtask::cli
