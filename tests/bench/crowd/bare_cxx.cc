// The same as bare_c in C++ over libuv, with containers and functions of the standard library: what our
// supervisor would be if it kept nothing and answered nobody.
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

struct Watched {
  uv_poll_t handle{};
  std::function<void()> ready;
};

std::vector<char> buffer;

std::unique_ptr<Watched> watch(int fd, std::function<void()> ready) {
  auto watched = std::make_unique<Watched>();
  watched->ready = std::move(ready);
  watched->handle.data = watched.get();
  uv_poll_init(uv_default_loop(), &watched->handle, fd);
  uv_poll_start(&watched->handle, UV_READABLE,
                [](uv_poll_t* handle, int, int) { static_cast<Watched*>(handle->data)->ready(); });
  return watched;
}

void take(int fd, uv_poll_t& handle) {
  buffer.resize(1 << 16);
  if (::read(fd, buffer.data(), buffer.size()) <= 0) uv_poll_stop(&handle);
}

pid_t start(char** command, int out, int err, const sigset_t& signals) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::setsid();
  ::sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::execvp(command[0], command);
  ::_exit(127);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (::fork() != 0) return 0;
  ::setsid();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  int out[2], err[2];
  if (::pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0 || ::pipe2(err, O_CLOEXEC | O_NONBLOCK) != 0) return 1;
  const pid_t child = start(argv + 1, out[1], err[1], signals);
  ::close(out[1]);
  ::close(err[1]);
  const std::string line = std::to_string(::getpid()) + " " + std::to_string(child) + "\n";
  if (::write(1, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 1;
  const int null = ::open("/dev/null", O_RDWR);
  for (int i = 0; i < 3; ++i)
    ::dup2(null, i);
  ::close(null);
  std::vector<std::unique_ptr<Watched>> watched;
  for (const int fd : {out[0], err[0]}) {
    watched.push_back(watch(fd, [fd, &watched, i = watched.size()] { take(fd, watched[i]->handle); }));
  }
  watched.push_back(watch(::signalfd(-1, &signals, SFD_CLOEXEC), [child] {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::_exit(0);
  }));
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
