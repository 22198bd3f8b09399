#include "tests/pool/support.h"

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "protocol/io/files.h"

namespace bgtask::test {
namespace {

constexpr size_t kLongestWord = 1 << 20;

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

[[noreturn]] void tell_and_exit(int fd, const std::function<std::string()>& body) {
  std::string word;
  try {
    word = body();
  } catch (const std::exception& error) {
    word = std::string("exception: ") + error.what();
  }
  bool told = io::write_all(fd, word).has_value();
  ::_exit(told ? 0 : 1);
}

}  // namespace

TempDir::TempDir() {
  std::string name = "/dev/shm/bgtask-pool-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void HandMadePool::write(const std::string& name, const std::string& file, const std::string& content) const {
  std::ofstream(entry(name) / file, std::ios::binary) << content;
}

bool HandMadePool::exists(const std::string& name) const {
  return std::filesystem::exists(std::filesystem::symlink_status(entry(name)));
}

void HandMadePool::add_unpublished(const std::string& name, bool alive) {
  ASSERT_EQ(::mkdir(entry(name).c_str(), 0700), 0);
  io::UniqueFd lock(::open((entry(name) / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(lock);
  if (!alive) return;
  ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  locks_[name] = std::move(lock);
}

void HandMadePool::add(const std::string& name, bool alive, const Json& info) {
  add_unpublished(name, alive);
  Json document = {{"persistent", false},
                   {"started_at", 1000.5},
                   {"child_pid", nullptr},
                   {"meta", Json::object()},
                   {"status", {{"state", "running"}, {"running", true}, {"paused", false}}},
                   {"streams", {{"stdout", {{"limit", 11}}}}},
                   {"former_pids", Json::array()}};
  document["pid"] = std::atoi(name.c_str());
  document.merge_patch(info);
  write(name, "status", document.dump());
}

Json supervision_of(pid_t pid) {
  std::string boot = file_text("/proc/sys/kernel/random/boot_id");
  std::string stat = file_text("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string field;
  for (int number = 3; number <= 22; ++number)
    fields >> field;
  return {{"boot_id", boot.substr(0, boot.find('\n'))}, {"child_start", std::stoull(field)}};
}

std::string in_child(const std::function<std::string()>& body) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return "pipe2 failed";
  io::UniqueFd reader(fds[0]);
  // High, so that a body that closes low descriptors leaves it alone.
  io::UniqueFd writer(::fcntl(fds[1], F_DUPFD_CLOEXEC, 900));
  ::close(fds[1]);
  std::fflush(nullptr);  // or the child may write it once more
  pid_t child = ::fork();
  if (child == 0) tell_and_exit(writer.get(), body);
  writer.reset();
  Result<std::string> word = io::read_all(reader.get(), kLongestWord);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) return "the child ended with wait status " + std::to_string(status);
  return word ? *word : word.error().message;
}

void become(uid_t uid) {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) {
    throw std::runtime_error("cannot become another user: the tests need root");
  }
}

}  // namespace bgtask::test
