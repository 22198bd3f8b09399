#include "supervisor/processes/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>

#include "protocol/io/files.h"

namespace bgtask::supervisor {
namespace {

constexpr size_t kMaxLocks = 16 << 20;

// /proc/locks says who holds a lock, whatever the holder wrote into the file: "1: FLOCK ADVISORY WRITE 4711
// fe:00:1234 …".
pid_t holder_of(const struct stat& st) {
  auto locks = io::read_file(AT_FDCWD, "/proc/locks", kMaxLocks);
  if (!locks) return 0;
  for (size_t begin = 0; begin < locks->size();) {
    size_t end = std::min(locks->find('\n', begin), locks->size());
    std::string line = locks->substr(begin, end - begin);
    begin = end + 1;
    int pid = 0;
    unsigned dev_major = 0;
    unsigned dev_minor = 0;
    uint64_t inode = 0;
    int fields = std::sscanf(line.c_str(), "%*s FLOCK %*s %*s %d %x:%x:%" SCNu64, &pid, &dev_major,
                             &dev_minor, &inode);
    if (fields == 4 && inode == st.st_ino && makedev(dev_major, dev_minor) == st.st_dev) return pid;
  }
  return 0;
}

}  // namespace

Result<io::UniqueFd> acquire_lock_file(const std::string& path) {
  io::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600));
  if (!fd) return fail_errno("cannot open the lock file '" + path + "' ('lock_file')", errno);
  if (io::try_flock(fd.get(), LOCK_EX) == 0) return fd;
  if (errno != EWOULDBLOCK) return fail_errno("cannot lock '" + path + "' ('lock_file')", errno);
  struct stat st {};
  pid_t holder = ::fstat(fd.get(), &st) == 0 ? holder_of(st) : 0;
  std::string who = holder > 0 ? "process " + std::to_string(holder) : "another process";
  return fail(Failure{ErrorCode::kLocked, "'" + path + "' is locked by " + who, EWOULDBLOCK,
                      Json{{"holder", holder > 0 ? Json(holder) : Json(nullptr)}}});
}

}  // namespace bgtask::supervisor
