#include "tests/faults/files_fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace bgtask::faults {

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode : 0;
}

namespace {

void add_to(std::map<std::string, std::string>& picture, const std::filesystem::path& directory,
            const std::string& prefix) {
  constexpr off_t kSmall = 1 << 16;
  for (const std::string& name : e2e::names_in(directory)) {
    struct stat status {};
    const std::filesystem::path path = directory / name;
    if (::lstat(path.c_str(), &status) != 0) continue;
    std::string words = std::to_string(status.st_mode) + " " + std::to_string(status.st_uid) + " " +
                        std::to_string(status.st_ino) + " " + std::to_string(status.st_size);
    if (S_ISREG(status.st_mode) && status.st_size < kSmall) words += " " + e2e::read_whole(path);
    if (S_ISLNK(status.st_mode)) words += " " + std::filesystem::read_symlink(path).string();
    picture[prefix + name] = words;
    if (S_ISDIR(status.st_mode)) add_to(picture, path, prefix + name + "/");
  }
}

}  // namespace

std::map<std::string, std::string> picture_of(const std::filesystem::path& directory) {
  std::map<std::string, std::string> picture;
  add_to(picture, directory, "");
  return picture;
}

std::string name_of(Entry entry) {
  switch (entry) {
    case Entry::kFifo:
      return "fifo";
    case Entry::kSocket:
      return "socket";
    case Entry::kZeroDevice:
      return "device";
    case Entry::kLinkToZero:
      return "link to /dev/zero";
    case Entry::kLoop:
      return "link to itself";
    case Entry::kDangling:
      return "dangling link";
    case Entry::kDirectory:
      return "directory";
    case Entry::kHuge:
      return "huge file";
    case Entry::kEmpty:
      break;
  }
  return "empty file";
}

namespace {

bool bind_socket(const std::filesystem::path& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return bound;
}

bool made(const std::filesystem::path& path, Entry entry) {
  constexpr off_t kTebibyte = off_t{1} << 40;
  switch (entry) {
    case Entry::kFifo:
      return ::mkfifo(path.c_str(), 0600) == 0;
    case Entry::kSocket:
      return bind_socket(path);
    case Entry::kZeroDevice:
      return ::mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0;
    case Entry::kLinkToZero:
      return ::symlink("/dev/zero", path.c_str()) == 0;
    case Entry::kLoop:
      return ::symlink(path.c_str(), path.c_str()) == 0;
    case Entry::kDangling:
      return ::symlink("/nonexistent/file", path.c_str()) == 0;
    case Entry::kDirectory:
      return ::mkdir(path.c_str(), 0700) == 0 && ::mkdir((path / "deeper").c_str(), 0700) == 0;
    case Entry::kHuge:
      e2e::write_whole(path, "");
      return ::truncate(path.c_str(), kTebibyte) == 0;
    case Entry::kEmpty:
      e2e::write_whole(path, "");
      return true;
  }
  return false;
}

}  // namespace

void make_entry(const std::filesystem::path& path, Entry entry, uid_t owner) {
  ASSERT_TRUE(made(path, entry)) << path << " cannot be made a " << name_of(entry) << ": " << strerror(errno);
  ASSERT_EQ(::lchown(path.c_str(), owner, owner), 0);
}

void FilesTest::SetUp() {
  FaultTest::SetUp();
  ::chmod(base().c_str(), 0755);
}

std::filesystem::path FilesTest::pool_of(uid_t uid, const std::string& name) {
  const std::filesystem::path path = base() / name;
  EXPECT_EQ(::mkdir(path.c_str(), 0700), 0);
  EXPECT_EQ(::chown(path.c_str(), uid, uid), 0);
  return path;
}

std::filesystem::path FilesTest::public_program(const std::string& program) {
  auto [entry, fresh] = copies_.try_emplace(program);
  if (fresh) entry->second = public_copy(program);
  return entry->second;
}

PoolOptions FilesTest::public_options() {
  PoolOptions options = pool_options();
  options.mkdir_if_missing.reset();
  options.supervisor_command = {public_program(BGTASK_SUPERVISOR_PROGRAM).string()};
  return options;
}

pid_t FilesTest::spawn_as(uid_t uid, const std::filesystem::path& pool, SpawnOptions options) {
  const PoolOptions pool_options = public_options();
  options.cwd = "/";
  const e2e::ProgramResult spawned =
      e2e::as_user(uid, [&] { return std::to_string(TaskPool(pool, pool_options).spawn(options).pid()); });
  EXPECT_EQ(spawned.status, 0) << spawned.err;
  return std::atoi(spawned.out.c_str());
}

std::string words_of(const std::function<std::string()>& attempt) {
  try {
    return "none: " + attempt();
  } catch (const Error& error) {
    return error.code() + " " + error.what();
  }
}

std::string FilesTest::told(uid_t uid, const std::function<std::string()>& attempt) const {
  const e2e::ProgramResult result = e2e::as_user(uid, [&] { return words_of(attempt); });
  EXPECT_EQ(result.status, 0) << result.err;
  return result.out;
}

}  // namespace bgtask::faults
