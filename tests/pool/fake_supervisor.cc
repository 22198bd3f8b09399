// A supervisor that does no more than the launch protocol. $FAKE_MODE says how it behaves; where $FAKE_REPORT
// is set it first writes there, as JSON, what it found itself to be.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "protocol/io/files.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/message.h"

namespace bgtask {
namespace {

constexpr size_t kLargestSpec = 64 << 20;

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Json descriptors() {
  Json result = Json::object();
  DIR* dir = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(dir)) {
    char target[PATH_MAX];
    ssize_t length = ::readlinkat(::dirfd(dir), entry->d_name, target, sizeof target);
    if (length < 0 || std::atoi(entry->d_name) == ::dirfd(dir)) continue;
    result[entry->d_name] = std::string(target, static_cast<size_t>(length));
  }
  ::closedir(dir);
  return result;
}

// The word after "NAME:" in a file of /proc.
std::string field(const std::string& file, const std::string& name) {
  std::ifstream lines(file);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string label, value;
    words >> label >> value;
    if (label == name + ":") return value;
  }
  return "";
}

// The names of its environment.
Json variables() {
  Json names = Json::array();
  for (char** entry = environ; *entry != nullptr; ++entry)
    names.push_back(std::string(*entry, ::strcspn(*entry, "=")));
  return names;
}

Json report(int argc, char** argv) {
  Json fds = descriptors();
  Result<std::string> spec = io::read_all(wire::kSpecFd, kLargestSpec);
  Result<Json> document = wire::decode_msgpack(spec.value_or(""), wire::reply_limits());
  return {{"fds", fds},
          {"blocked", field("/proc/self/status", "SigBlk")},
          {"ignored", field("/proc/self/status", "SigIgn")},
          {"umask", field("/proc/self/status", "Umask")},
          {"leader", field("/proc/self/fdinfo/6", "Pid")},
          {"pid", ::getpid()},
          {"ppid", ::getppid()},
          {"sid", ::getsid(0)},
          {"argv", std::vector<std::string>(argv, argv + argc)},
          {"extra", env("FAKE_EXTRA")},
          {"variables", variables()},
          {"spec_size", spec.value_or("").size()},
          {"spec", document.value_or(Json("unreadable"))}};
}

// Whole or not at all, for somebody may be waiting for it.
void write_report(const Json& document, const std::string& path) {
  std::ofstream(path + ".new") << wire::encode_json(document);
  ::rename((path + ".new").c_str(), path.c_str());
}

int send_bytes(const std::string& bytes) {
  return ::send(wire::kReplyFd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0 ? 1 : 0;
}

int send_document(const Json& document) {
  return send_bytes(wire::encode_msgpack(document));
}

int answer() {
  return send_document({{"pid", ::getpid()}, {"child_pid", 1}});
}

int send_failure(const Failure& failure) {
  return send_document({{"error", wire::make_error(nullptr, failure)["error"]}});
}

// Says "exists" as often as $FAKE_TIMES, counted over all processes by the size of a file.
int send_exists() {
  int fd = ::open(env("FAKE_COUNT").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (!io::write_all(fd, "x")) return 1;
  struct stat st {};
  ::fstat(fd, &st);
  if (st.st_size > std::atoi(env("FAKE_TIMES").c_str())) return answer();
  return send_failure({ErrorCode::kExists, "the name is taken", 0, nullptr});
}

int wait_for_ever() {
  for (;;)
    ::pause();
}

int behave(const std::string& mode) {
  if (mode == "answer") return answer();
  if (mode == "stay") return answer() == 0 ? wait_for_ever() : 1;
  if (mode == "fail")
    return send_failure({ErrorCode::kExecFailed, "cannot execute 'x'", ENOENT, {{"more", 1}}});
  if (mode == "new_word") {
    return send_document(
        {{"error", {{"code", -32000}, {"message", "m"}, {"data", {{"error", "brand_new"}}}}}});
  }
  if (mode == "exists") return send_exists();
  if (mode == "crash") return ::raise(SIGKILL);
  if (mode == "garbage") return send_bytes("\xc1\xff garbage");
  if (mode == "no_object") return send_document(Json::array({1, 2}));
  if (mode == "bad_pid") return send_document({{"pid", -5}});
  if (mode == "empty_message") return send_bytes("");
  if (mode == "mute") return wait_for_ever();
  if (mode == "stubborn") {
    ::signal(SIGTERM, SIG_IGN);
    ::close(wire::kReplyFd);
    return wait_for_ever();
  }
  if (mode == "close") {
    ::close(wire::kReplyFd);
    return wait_for_ever();
  }
  return 3;  // "die", among others
}

}  // namespace
}  // namespace bgtask

int main(int argc, char** argv) {
  if (std::string path = bgtask::env("FAKE_REPORT"); !path.empty())
    bgtask::write_report(bgtask::report(argc, argv), path);
  return bgtask::behave(bgtask::env("FAKE_MODE"));
}
