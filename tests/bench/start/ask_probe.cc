// ask_probe POOL PID ping|info|raw COUNT: the mean time of a request and its reply on an open connection, in
// nanoseconds. Each reply is checked. "raw" is the same as ping with nothing but write and read, to tell the
// library's share.

#include <bgtask/bgtask.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

long long mean_of(int count, const std::function<bool()>& ask) {
  Clock::time_point begin;
  for (int i = -count / 10; i < count; ++i) {  // the first are for warmth
    if (i == 0) begin = Clock::now();
    if (!ask()) throw std::runtime_error("a wrong reply");
  }
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count() / count;
}

int connected(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("no connection");
  return fd;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const bgtask::TaskPool pool(argv[1]);
  const pid_t pid = std::atoi(argv[2]);
  const std::string what = argv[3];
  const int count = std::atoi(argv[4]);
  long long result = 0;
  if (what == "raw") {
    const int fd = connected(pool.socket_path(pid));
    const std::string request = R"({"jsonrpc":"2.0","id":1,"method":"ping"})"
                                "\n";
    char reply[256];
    result = mean_of(count, [&] {
      if (::write(fd, request.data(), request.size()) < 0) return false;
      const ssize_t got = ::read(fd, reply, sizeof reply);
      return got > 0 &&
             std::string_view(reply, static_cast<std::size_t>(got)).find("pong") != std::string_view::npos;
    });
  } else {
    bgtask::Task task = pool.task(pid).value();
    task.connect();
    if (what == "ping") result = mean_of(count, [&] { return task.call("ping") == "pong"; });
    if (what == "info") result = mean_of(count, [&] { return task.info(true).at("pid") == pid; });
  }
  std::cout << result << std::endl;
  return 0;
}
