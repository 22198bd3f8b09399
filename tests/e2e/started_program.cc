#include "tests/e2e/started_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace bgtask::e2e {
namespace {

using Clock = std::chrono::steady_clock;

struct Ends {
  int ours = -1, theirs = -1;
};

Ends pipe_for(int fd, bool to_program) {
  if (fd >= 0) return {-1, fd};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  return to_program ? Ends{ends[1], ends[0]} : Ends{ends[0], ends[1]};
}

[[noreturn]] void execute(const std::vector<std::string>& argv, int in, int out, int err,
                          const std::map<std::string, std::string>& env) {
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::signal(SIGPIPE, SIG_DFL);
  for (const auto& [name, value] : env)
    ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> pointers;
  for (const std::string& argument : argv)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  ::execvp(pointers[0], pointers.data());
  ::_exit(127);
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

}  // namespace

StartedProgram::StartedProgram(const std::vector<std::string>& argv, const StartedStdio& stdio,
                               const std::map<std::string, std::string>& env) {
  const Ends in = pipe_for(stdio.in, true), out = pipe_for(stdio.out, false),
             err = pipe_for(stdio.err, false);
  pid_ = ::fork();
  if (pid_ == 0) execute(argv, in.theirs, out.theirs, err.theirs, env);
  for (const auto& [given, ends] : {std::pair(stdio.in, in), {stdio.out, out}, {stdio.err, err}}) {
    if (given < 0) ::close(ends.theirs);
  }
  in_ = in.ours;
  out_.fd = out.ours;
  err_.fd = err.ours;
}

StartedProgram::~StartedProgram() {
  close_stdin();
  close_stdout();
  if (err_.fd >= 0) ::close(err_.fd);
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);  // ours and not yet reaped
  ::waitpid(pid_, nullptr, 0);
}

void StartedProgram::send(std::string_view text) const {
  if (::write(in_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error("the program's stdin takes nothing");
}

void StartedProgram::close_stdin() {
  if (in_ >= 0) ::close(std::exchange(in_, -1));
}

void StartedProgram::close_stdout() {
  if (out_.fd >= 0) ::close(std::exchange(out_.fd, -1));
}

// False at the end of the stream, or when nothing came in time.
bool StartedProgram::read_some(Reading& reading, int milliseconds) {
  pollfd ready{reading.fd, POLLIN, 0};
  if (reading.fd < 0 || ::poll(&ready, 1, milliseconds) <= 0) return false;
  char piece[64 * 1024];
  const ssize_t n = ::read(reading.fd, piece, sizeof piece);
  if (n <= 0) {
    ::close(std::exchange(reading.fd, -1));
    return false;
  }
  reading.text.append(piece, static_cast<size_t>(n));
  return true;
}

bool StartedProgram::awaits(Reading& reading, std::string_view text, Milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  while (reading.text.find(text) == std::string::npos) {
    if (!read_some(reading, milliseconds_until(deadline))) return false;
  }
  return true;
}

int StartedProgram::wait(Milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  int status = 0;
  while (true) {
    while (read_some(out_, 0) || read_some(err_, 0)) {
    }
    if (::waitpid(pid_, &status, WNOHANG) == pid_) break;
    if (Clock::now() > deadline) return -1;
    const timespec pause{0, 2'000'000};
    ::nanosleep(&pause, nullptr);
  }
  pid_ = -1;
  while (read_some(out_, 0) || read_some(err_, 0)) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace bgtask::e2e
