#include "pool/src/launcher.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "pool/src/start_supervisor.h"
#include "pool/src/supervisor_path.h"
#include "protocol/io/files.h"
#include "protocol/io/own_limits.h"
#include "protocol/io/pidfd.h"
#include "protocol/io/unique_fd.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/message.h"

namespace bgtask {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds kOwnEndTime{2'000};  // for a supervisor that has said that it failed
constexpr Milliseconds kDeleteTime{5'000};  // for TERM, which means delete: its grace and some more
constexpr int kTries = 5;
constexpr std::size_t kLargestAnswer = 256 * 1024;
constexpr std::size_t kDisplayLength = 200;
constexpr std::uint64_t kLeastMemory = 64 << 20;  // of address space, with room to spare

// A program whose 0–2 are closed may have other threads that write there: what is ours must not be.
Result<io::UniqueFd> clear_of_stdio(int fd, const char* what) {
  int error = errno;
  io::UniqueFd owned(fd);
  if (fd > STDERR_FILENO) return owned;
  if (fd >= 0) {
    owned = io::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    error = errno == EINVAL ? EMFILE : errno;  // invalid is a number beyond the limit
  }
  if (!owned) return fail_errno(std::string("cannot make ") + what, error);
  return owned;
}

// Holds back the SIGXFSZ that a low RLIMIT_FSIZE earns every write, and takes it out of the way again: a
// library's write must not end the program.
class FileSizeSignalHeld {
 public:
  FileSizeSignalHeld() {
    ::sigemptyset(&only_);
    ::sigaddset(&only_, SIGXFSZ);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGXFSZ) == 1;
    ::pthread_sigmask(SIG_BLOCK, &only_, &before_);
  }
  FileSizeSignalHeld(const FileSizeSignalHeld&) = delete;
  FileSizeSignalHeld& operator=(const FileSizeSignalHeld&) = delete;
  ~FileSizeSignalHeld() {
    const timespec now{};
    if (!was_pending_) ::sigtimedwait(&only_, nullptr, &now);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t only_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

Result<io::UniqueFd> memory_file(const std::string& bytes) {
  Result<io::UniqueFd> file =
      clear_of_stdio(::memfd_create("bgtask-launch", MFD_CLOEXEC), "the launch request");
  if (!file) return file;
  FileSizeSignalHeld held;
  Status written = io::write_all(file->get(), bytes);
  if (written) return file;
  written.error().message = "the launch request: " + written.error().message;
  if (const std::string limit = io::file_size_limit();
      written.error().code == ErrorCode::kFileLimit && !limit.empty())
    written.error().message += "; " + limit;
  return fail(std::move(written.error()));
}

struct ReplyPair {
  io::UniqueFd ours;
  io::UniqueFd theirs;
};

Result<ReplyPair> reply_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail_errno("cannot make a socket for the supervisor's answer", errno);
  }
  Result<io::UniqueFd> ours = clear_of_stdio(fds[0], "a socket for the supervisor's answer");
  Result<io::UniqueFd> theirs = clear_of_stdio(fds[1], "a socket for the supervisor's answer");
  if (!ours) return fail(std::move(ours.error()));
  if (!theirs) return fail(std::move(theirs.error()));
  return ReplyPair{*std::move(ours), *std::move(theirs)};
}

Result<io::UniqueFd> session_leader() {
  Result<io::UniqueFd> leader =
      clear_of_stdio(::pidfd_open(::getsid(0), 0), "a handle of the session's leader");
  if (leader) return leader;
  int error = leader.error().os_error;
  std::string what =
      "behavior: 'background' ends with the caller's session leader, which cannot be watched: ";
  return fail(
      Failure{code_of_errno(error, ErrorCode::kBadArgument), what + std::strerror(error), error, nullptr});
}

// Null-terminated array of the strings' texts; valid as long as they are.
std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& text : strings)
    result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> arguments(const wire::LaunchSpec& spec, const std::vector<std::string>& command) {
  std::vector<std::string> result = command;
  std::string display = spec.adopt ? "adopt " + std::to_string(*spec.adopt) : spec.exec.at(0);
  display.resize(std::min(display.size(), kDisplayLength));
  result.insert(result.end(), {"--launch", display});
  return result;
}

// None of the caller's variables: secrets stay out of the supervisor's /proc/PID/environ, and a CI system
// that ends whatever carries its cookie passes the supervisor by. The control group for tasks is named by a
// variable.
std::vector<std::string> environment(std::map<std::string, std::string> variables) {
  constexpr char kGroup[] = "BGTASK_CGROUP";
  if (const char* group = std::getenv(kGroup); group != nullptr) variables.emplace(kGroup, group);
  std::vector<std::string> result;
  for (const auto& [name, value] : variables)
    result.push_back(name + "=" + value);
  return result;
}

int milliseconds_until(Clock::time_point deadline) {
  auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now());
  return static_cast<int>(std::max(left, Milliseconds(0)).count());
}

// Waits until one of the descriptors has something to say; false when time is up.
bool poll_until(pollfd* fds, nfds_t count, Clock::time_point deadline) {
  int ready = 0;
  do {
    ready = ::poll(fds, count, milliseconds_until(deadline));
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// A process that was started and that nobody shall hear of unless release() is called: the destructor ends
// it, with the new task that it has, but not a task that it was to take over.
class Supervisor {
 public:
  Supervisor(io::UniqueFd pidfd, bool is_child, bool adopts)
      : pidfd_(std::move(pidfd)), is_child_(is_child), adopts_(adopts) {}
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor() {
    if (pidfd_) end();
  }

  int pidfd() const { return pidfd_.get(); }
  /// It does not answer: there is no point in waiting for it to end by itself.
  void be_impatient() { patience_ = Milliseconds(0); }
  void release() { pidfd_.reset(); }

 private:
  bool is_gone_within(Milliseconds time) const {
    pollfd fd{pidfd_.get(), POLLIN, 0};
    return poll_until(&fd, 1, Clock::now() + time);
  }
  void send(int signal) const { ::pidfd_send_signal(pidfd_.get(), signal, nullptr, 0); }

  // TERM is "delete" for a supervisor: it takes with it what it has already started.
  void end() const {
    if (!is_gone_within(patience_)) {
      if (!adopts_) {
        send(SIGTERM);
        send(SIGCONT);
      }
      if (adopts_ || !is_gone_within(kDeleteTime)) {
        send(SIGKILL);
        if (!is_gone_within(kOwnEndTime)) return;
      }
    }
    siginfo_t info{};
    if (is_child_) ::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | __WALL);
  }

  io::UniqueFd pidfd_;
  bool is_child_;
  bool adopts_;
  Milliseconds patience_ = kOwnEndTime;
};

tl::unexpected<Failure> ended_silently() {
  // The kernel ends a program that does not fit into its limits, and nobody else can tell why.
  std::string limits = io::small_stack_limit();
  if (limits.empty()) limits = io::memory_limits_below(kLeastMemory);
  if (limits.empty()) return fail(ErrorCode::kLost, "the supervisor ended before it answered");
  return fail(ErrorCode::kNoMemory, "the supervisor ended before it answered; " + limits);
}

ssize_t receive_now(int fd, char* buffer, std::size_t size, int flags) {
  ssize_t length = 0;
  do {
    length = ::recv(fd, buffer, size, flags | MSG_DONTWAIT);
  } while (length < 0 && errno == EINTR);
  return length;
}

// The one message. The supervisor's own end is watched as well, because a copy of its end of the socket may
// live on in a process that another thread has just forked.
Result<std::string> receive(int reply_fd, Supervisor* supervisor, Milliseconds time) {
  pollfd fds[] = {{reply_fd, POLLIN, 0}, {supervisor->pidfd(), POLLIN, 0}};
  if (!poll_until(fds, 2, Clock::now() + time)) {
    supervisor->be_impatient();
    return fail(ErrorCode::kUnresponsive, "the supervisor did not answer in time");
  }
  // Its length first: nearly all are a few bytes, and room for the longest would be touched in vain.
  ssize_t length = receive_now(reply_fd, nullptr, 0, MSG_PEEK | MSG_TRUNC);
  if (length <= 0) return ended_silently();
  std::string answer(std::min(static_cast<std::size_t>(length), kLargestAnswer), '\0');
  length = receive_now(reply_fd, answer.data(), answer.size(), 0);
  if (length <= 0) return ended_silently();
  answer.resize(static_cast<std::size_t>(length));
  return answer;
}

Result<pid_t> understand(const std::string& answer) {
  Result<Json> document = wire::decode_msgpack(answer, wire::reply_limits());
  if (document && document->is_object()) {
    auto pid = document->find("pid");
    if (pid != document->end() && pid->is_number_integer() && *pid > 0) return pid->get<pid_t>();
    if (document->contains("error")) {
      Result<Json> result = wire::parse_reply(*std::move(document));
      if (!result) return fail(std::move(result.error()));
    }
  }
  return fail(ErrorCode::kLost, "the supervisor's answer cannot be understood; is it of another version?");
}

struct Attempt {
  const wire::LaunchSpec& spec;
  const std::vector<std::string>& argv;
  const std::vector<std::string>& envp;
  int spec_fd;
  int pool_fd;
  int leader_fd;  // -1 unless the behavior is "background"
  Milliseconds answer_time;
};

Result<pid_t> attempt(const Attempt& a) {
  Result<ReplyPair> reply = reply_pair();
  if (!reply) return fail(std::move(reply.error()));
  // A supervisor of an earlier attempt has read it, and the offset is shared.
  if (::lseek(a.spec_fd, 0, SEEK_SET) != 0) return fail_errno("cannot rewind the launch request", errno);
  std::vector<char*> argv = pointers(a.argv);
  std::vector<char*> envp = pointers(a.envp);
  StartPlan plan;
  plan.program = argv[0];
  plan.argv = argv.data();
  plan.envp = envp.data();
  plan.detached = a.spec.behavior != "foreground";
  for (int fd : {a.spec_fd, a.pool_fd, reply->theirs.get(), a.leader_fd}) {
    if (fd >= 0) plan.fds[plan.fd_count++] = fd;
  }
  Result<StartedSupervisor> started = start_supervisor(plan);
  if (!started) return fail(std::move(started.error()));
  Supervisor supervisor(std::move(started->pidfd), !plan.detached, a.spec.adopt.has_value());
  reply->theirs.reset();
  Result<std::string> answer = receive(reply->ours.get(), &supervisor, a.answer_time);
  if (!answer) {
    answer.error().data["supervisor_pid"] = started->pid;
    return fail(std::move(answer.error()));
  }
  Result<pid_t> pid = understand(*answer);
  if (pid) supervisor.release();
  if (!pid && pid.error().code == ErrorCode::kLost) pid.error().data["supervisor_pid"] = started->pid;
  return pid;
}

Result<std::vector<std::string>> supervisor_command(const LaunchSettings& settings) {
  if (!settings.supervisor_command.empty()) return settings.supervisor_command;
  Result<std::string> found = find_supervisor();
  if (!found) return fail(std::move(found.error()));
  return std::vector<std::string>{*std::move(found)};
}

// The descriptors of a process that execs: 0 is /dev/null, `passed` become 3, 4, …, and nothing else is open.
// From here on the caller cannot go on as it was.
Status arrange_own_descriptors(const std::vector<int>& passed) {
  constexpr int kFirst = STDERR_FILENO + 1;
  std::vector<int> high;
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0) return fail_errno("cannot open /dev/null", errno);
  for (int fd : passed)
    high.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, kFirst + static_cast<int>(passed.size())));
  int next = kFirst;
  for (int fd : high) {
    if (fd < 0 || ::dup2(fd, next++) < 0) return fail_errno("cannot pass a descriptor on", errno);
  }
  ::close_range(static_cast<unsigned>(next), ~0U, CLOSE_RANGE_CLOEXEC);
  return {};
}

void reset_own_signals() {
  for (int number = 1; number < NSIG; ++number)
    ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace

Failure become_supervisor(const wire::LaunchSpec& spec, const LaunchSettings& settings) {
  Result<std::vector<std::string>> command = supervisor_command(settings);
  if (!command) return std::move(command.error());
  Result<io::UniqueFd> request = memory_file(wire::encode_msgpack(wire::to_json(spec)));
  if (!request) return std::move(request.error());
  if (::lseek(request->get(), 0, SEEK_SET) != 0)
    return fail_errno("cannot rewind the launch request", errno).value();
  const std::vector<std::string> argv = arguments(spec, *command);
  const std::vector<std::string> envp = environment(settings.supervisor_env);
  const std::vector<char*> argv_pointers = pointers(argv);
  const std::vector<char*> envp_pointers = pointers(envp);
  if (Status arranged = arrange_own_descriptors({request->get(), settings.pool_fd}); !arranged)
    return std::move(arranged.error());
  reset_own_signals();
  ::execve(argv_pointers[0], argv_pointers.data(), envp_pointers.data());
  return supervisor_failure(argv[0], "", errno);
}

Result<pid_t> launch(const wire::LaunchSpec& spec, const LaunchSettings& settings) {
  Result<std::vector<std::string>> command = supervisor_command(settings);
  if (!command) return fail(std::move(command.error()));
  Result<io::UniqueFd> request = memory_file(wire::encode_msgpack(wire::to_json(spec)));
  if (!request) return fail(std::move(request.error()));
  io::UniqueFd leader;
  if (spec.behavior == "background") {
    Result<io::UniqueFd> opened = session_leader();
    if (!opened) return fail(std::move(opened.error()));
    leader = *std::move(opened);
  }
  std::vector<std::string> argv = arguments(spec, *command);
  std::vector<std::string> envp = environment(settings.supervisor_env);
  Attempt one{spec, argv, envp, request->get(), settings.pool_fd, leader.get(), settings.answer_time};
  Result<pid_t> pid = attempt(one);
  // Something that is not ours to move has the name the task would get: the next one gets another pid.
  for (int tries = 1; tries < kTries && !pid && pid.error().code == ErrorCode::kExists; ++tries)
    pid = attempt(one);
  return pid;
}

}  // namespace bgtask
