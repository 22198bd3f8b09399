#include "tests/cli/program_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace bgtask::cli {
namespace {

// A file for stdin and pipes for the rest; all of them small.
struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  }
  ~Pipe() {
    ::close(ends[0]);
    if (ends[1] >= 0) ::close(ends[1]);
  }
  void close_writer() {
    ::close(ends[1]);
    ends[1] = -1;
  }
};

int file_with(const std::string& text) {
  char path[] = "/dev/shm/bgtask-input.XXXXXX";
  const int fd = ::mkostemp(path, O_CLOEXEC);
  ::unlink(path);
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::abort();
  ::lseek(fd, 0, SEEK_SET);
  return fd;
}

[[noreturn]] void execute(const std::vector<std::string>& arguments, int input, const Pipe& out,
                          const Pipe& err) {
  ::dup2(input, 0);
  ::dup2(out.ends[1], 1);
  ::dup2(err.ends[1], 2);
  std::vector<char*> argv = {const_cast<char*>("bgtask")};
  for (const auto& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(BGTASK_PROGRAM, argv.data());
  ::_exit(99);
}

// Reads both until both are closed.
void collect(const Pipe& out, const Pipe& err, ProgramResult& result) {
  pollfd fds[2] = {{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}};
  std::string* const targets[2] = {&result.out, &result.err};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (::poll(fds, 2, -1) < 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char piece[65536];
      const ssize_t got = ::read(fds[i].fd, piece, sizeof piece);
      if (got > 0) {
        targets[i]->append(piece, static_cast<std::size_t>(got));
      } else {
        fds[i].fd = -1;
      }
    }
  }
}

}  // namespace

ProgramTest::ProgramTest() {
  char path[] = "/dev/shm/bgtask-cli.XXXXXX";
  pool_ = ::mkdtemp(path);
}

ProgramTest::~ProgramTest() {
  bgtask({"delete", "-a", "--grace", "0"});
  bgtask({"gc"});
  std::error_code ignored;
  std::filesystem::remove_all(pool_, ignored);
}

ProgramResult ProgramTest::bgtask(const std::vector<std::string>& arguments, const std::string& input,
                                  const Environment& environment) const {
  Pipe out, err;
  const int in = file_with(input);
  const pid_t child = ::fork();
  if (child == 0) {
    ::unsetenv("BGTASK_PID");
    ::unsetenv("BGTASK_DATA_FD");
    ::setenv("BGTASK_POOL", pool_.c_str(), 1);
    ::setenv("BGTASK_SUPERVISOR", BGTASK_SUPERVISOR, 1);
    for (const auto& [name, value] : environment)
      ::setenv(name.c_str(), value.c_str(), 1);
    execute(arguments, in, out, err);
  }
  ::close(in);
  out.close_writer();
  err.close_writer();
  ProgramResult result;
  collect(out, err, result);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  return result;
}

std::string ProgramTest::run(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), "run");
  auto result = bgtask(arguments);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(result.out.ends_with('\n'));
  return result.out.substr(0, result.out.find('\n'));
}

int ProgramTest::wait(const std::string& pid) const {
  return bgtask({"wait", "--timeout", "30", pid}).status;
}

}  // namespace bgtask::cli
