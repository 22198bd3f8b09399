// awkward MODE ARG…: the child processes the end-to-end tests run. Every mode does one thing that a
// supervisor could get wrong. A process that nothing ends is ended by its alarm.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/pattern.h"

extern char** environ;

namespace {

using Json = nlohmann::json;
using Args = std::vector<std::string>;

constexpr unsigned kLifetimeSeconds = 3'600;

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) _exit(90);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

int data_fd() {
  const char* number = std::getenv("BGTASK_DATA_FD");
  return number == nullptr ? -1 : std::atoi(number);
}

[[noreturn]] void sleep_for_ever() {
  alarm(kLifetimeSeconds);
  for (;;)
    pause();
}

[[noreturn]] void die_by(int signal) {
  // The raw calls, because the library's refuse to touch the two signals it keeps for itself.
  struct KernelAction {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    unsigned long mask;
  } kernel_action{SIG_DFL, 0, nullptr, 0};
  syscall(SYS_rt_sigaction, signal, &kernel_action, nullptr, 8);
  unsigned long none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, 8);
  syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
  _exit(91);
}

int print_args(const Args& args) {
  std::string out;
  for (const std::string& arg : args) {
    out += std::to_string(arg.size()) + ":";
    for (unsigned char c : arg) {
      char hex[3];
      std::snprintf(hex, sizeof hex, "%02x", c);
      out += hex;
    }
    out += "\n";
  }
  write_all(1, out);
  return 0;
}

int emit_pattern(uint64_t size, int fd) {
  constexpr uint64_t kPiece = 64 * 1024;
  for (uint64_t at = 0; at < size; at += kPiece) {
    write_all(fd, bgtask::e2e::pattern(at, static_cast<size_t>(std::min(kPiece, size - at))));
  }
  return 0;
}

/// Says goodbye on TERM. The signal is waited for, so that it cannot come too early.
int say_goodbye() {
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, nullptr);
  alarm(kLifetimeSeconds);
  write_all(1, "ready\n");
  int signal = 0;
  sigwait(&term, &signal);
  write_all(1, "goodbye\n");
  return 0;
}

/// Leaves a grandchild behind that holds stdout until something is written to the FIFO.
int leave_holder(const std::string& fifo, int code) {
  if (fork() == 0) {
    alarm(kLifetimeSeconds);
    const int gate = open(fifo.c_str(), O_RDONLY);  // waits for a writer,
    char said[16];
    while (read(gate, said, sizeof said) > 0) {  // who must not find it closed
    }
    write_all(1, "late\n");
    close(gate);
    _exit(0);
  }
  write_all(1, "early\n");
  return code;
}

void announce_and_sleep(const char* role, bool ignore_term) {
  if (ignore_term) signal(SIGTERM, SIG_IGN);
  write_all(1, std::string(role) + " " + std::to_string(getpid()) + "\n");
  sleep_for_ever();
}

/// Four processes: this one, a child in its group, one in a session of its own, and one that double-forked
/// away from its parent into a session of its own. "leave" in `how`: this one exits with 0; "stubborn": they
/// ignore TERM.
int make_family(const std::string& how) {
  const bool stubborn = how == "stubborn";
  if (fork() == 0) announce_and_sleep("member", stubborn);
  if (fork() == 0) {
    setsid();
    announce_and_sleep("session", stubborn);
  }
  const pid_t middle = fork();
  if (middle == 0) {
    setsid();
    if (fork() == 0) announce_and_sleep("daemon", stubborn);
    _exit(0);
  }
  waitpid(middle, nullptr, 0);  // so that it is never counted
  if (how == "leave") return 0;
  announce_and_sleep("leader", stubborn);
  return 0;
}

std::string status_field(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind(name + ":", 0) == 0) return line.substr(line.find_first_not_of(" \t", name.size() + 1));
  }
  return "";
}

Json open_descriptors() {
  Json fds = Json::object();
  DIR* directory = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == dirfd(directory)) continue;
    char target[4096];
    const ssize_t size =
        readlink((std::string("/proc/self/fd/") + entry->d_name).c_str(), target, sizeof target);
    fds[entry->d_name] = std::string(target, size < 0 ? 0 : static_cast<size_t>(size));
  }
  closedir(directory);
  return fds;
}

Json limit(int resource) {
  rlimit value{};
  getrlimit(static_cast<__rlimit_resource>(resource), &value);
  return Json{value.rlim_cur, value.rlim_max};
}

/// Everything a child can see of how it was started.
int report() {
  Json seen;
  seen["blocked"] = status_field("SigBlk");
  seen["ignored"] = status_field("SigIgn");
  seen["caught"] = status_field("SigCgt");
  seen["fds"] = open_descriptors();
  const mode_t mask = umask(0);
  umask(mask);
  seen["umask"] = mask;
  char cwd[4096];
  seen["cwd"] = getcwd(cwd, sizeof cwd) == nullptr ? "" : cwd;
  seen["nofile"] = limit(RLIMIT_NOFILE);
  seen["core"] = limit(RLIMIT_CORE);
  seen["nice"] = getpriority(PRIO_PROCESS, 0);
  seen["env"] = Json::object();
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string pair = *e;
    seen["env"][pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
  }
  seen["pid"] = getpid();
  seen["ppid"] = getppid();
  seen["session"] = getsid(0);
  seen["group"] = getpgrp();
  seen["uid"] = {getuid(), geteuid()};
  seen["gid"] = {getgid(), getegid()};
  std::vector<gid_t> groups(256);
  groups.resize(static_cast<size_t>(std::max(0, getgroups(256, groups.data()))));
  seen["groups"] = groups;
  write_all(1, seen.dump() + "\n");
  return 0;
}

/// Sends a data message of each size and says how it went.
int send_messages(const Args& sizes) {
  for (const std::string& size : sizes) {
    const std::string message = bgtask::e2e::pattern(0, std::stoul(size));
    const ssize_t n = send(data_fd(), message.data(), message.size(), MSG_NOSIGNAL);
    write_all(1, size + " " + std::to_string(n < 0 ? errno : 0) + "\n");
  }
  return 0;
}

/// Writes the same piece again and again, with pauses: whatever run it is of, a byte is known by its offset.
[[noreturn]] void drum(useconds_t pause) {
  constexpr size_t kPiece = 4096;  // goes into a pipe whole or not at all
  const std::string piece = bgtask::e2e::pattern(0, kPiece);
  alarm(kLifetimeSeconds);
  for (;;) {
    write_all(1, piece);
    usleep(pause);
  }
}

int echo_stdin() {
  char buffer[64 * 1024];
  uint64_t total = 0;
  for (;;) {
    const ssize_t n = read(0, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    total += static_cast<uint64_t>(n);
    write_all(1, std::string_view(buffer, static_cast<size_t>(n)));
  }
  write_all(2, "eof after " + std::to_string(total) + "\n");
  return 0;
}

/// Does what it is told, a line at a time, so that a test decides when what happens.
bool obey(const std::string& line) {
  const std::string verb = line.substr(0, line.find(' '));
  const std::string rest = line.find(' ') == std::string::npos ? "" : line.substr(line.find(' ') + 1);
  if (verb == "out") {
    write_all(1, rest + "\n");
  } else if (verb == "err") {
    write_all(2, rest + "\n");
  } else if (verb == "data") {
    if (send(data_fd(), rest.data(), rest.size(), MSG_NOSIGNAL) < 0) _exit(92);
  } else if (verb == "pattern") {
    const uint64_t from = std::stoull(rest);
    const uint64_t size = std::stoull(rest.substr(rest.find(' ') + 1));
    write_all(1, bgtask::e2e::pattern(from, size));
  } else if (verb == "file") {
    close(open(rest.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  } else if (verb == "exit") {
    _exit(std::atoi(rest.c_str()));
  } else {
    return false;
  }
  return true;
}

/// Commands come from stdin, or from a FIFO, which outlives the supervisor.
int puppet(const std::string& fifo) {
  const int commands = fifo.empty() ? 0 : open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  alarm(kLifetimeSeconds);
  std::string line;
  char c;
  for (;;) {
    const ssize_t n = read(commands, &c, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    if (c != '\n') {
      line += c;
    } else if (obey(line)) {
      line.clear();
    } else {
      return 93;
    }
  }
}

int run(const std::string& mode, const Args& args) {
  const auto arg = [&args](size_t i) { return i < args.size() ? args[i] : std::string(); };
  if (mode == "args") return print_args(args);
  if (mode == "exit") return std::stoi(arg(0));
  if (mode == "signal") die_by(std::stoi(arg(0)));
  if (mode == "pattern") return emit_pattern(std::stoull(arg(0)), args.size() > 1 ? std::stoi(arg(1)) : 1);
  if (mode == "hold") return leave_holder(arg(0), std::stoi(arg(1)));
  if (mode == "family") return make_family(arg(0));
  if (mode == "goodbye") return say_goodbye();
  if (mode == "stubborn") announce_and_sleep("leader", true);
  if (mode == "report") return report();
  if (mode == "messages") return send_messages(args);
  if (mode == "echo") return echo_stdin();
  if (mode == "puppet") return puppet(arg(0));
  if (mode == "drum") drum(static_cast<useconds_t>(std::stoul(arg(0))));
  if (mode == "sleep") sleep_for_ever();
  if (mode == "close-stdin") {
    close(0);
    write_all(1, "closed\n");
    sleep_for_ever();
  }
  if (mode == "stop") {
    write_all(1, "stopping\n");
    raise(SIGSTOP);
    write_all(1, "continued\n");
    return 0;
  }
  std::fprintf(stderr, "awkward: no such mode: %s\n", mode.c_str());
  return 94;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 95;
  return run(argv[1], Args(argv + 2, argv + argc));
}
