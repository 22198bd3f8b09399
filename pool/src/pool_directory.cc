#include "pool/src/pool_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "protocol/io/files.h"
#include "protocol/io/unique_fd.h"
#include "protocol/taskdir/default_pool.h"

namespace bgtask {
namespace {

constexpr mode_t kPermissions = 07777;
constexpr uid_t kUnchanged = static_cast<uid_t>(-1);

// The directory just made, by descriptor from here on. In a parent where others may write somebody could have
// put something else in its place.
Result<io::UniqueFd> open_own(int parent, const std::string& name) {
  io::UniqueFd fd(::openat(parent, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return fail_errno("it cannot be opened", errno);
  if (st.st_uid != ::geteuid()) return fail(ErrorCode::kUnsafePool, "somebody else has replaced it");
  return fd;
}

// The owner first: a change of owner takes bits off the mode.
Status set_owner_and_mode(int fd, const MkdirIfMissing& how) {
  uid_t uid = how.uid.value_or(kUnchanged);
  gid_t gid = how.gid.value_or(static_cast<gid_t>(-1));
  if ((how.uid || how.gid) && ::fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0) {
    return fail_errno("its owner cannot be set", errno);
  }
  // A descriptor that needs no permission to be opened is not taken by fchmod itself.
  std::string by_descriptor = "/proc/self/fd/" + std::to_string(fd);
  if (::chmod(by_descriptor.c_str(), how.mode & kPermissions) != 0)
    return io::fail_in_proc("its mode cannot be set", errno);
  return {};
}

std::filesystem::path without_trailing_slash(const std::filesystem::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

}  // namespace

Status make_pool_directory(const std::filesystem::path& given, const MkdirIfMissing& how) {
  std::filesystem::path path = without_trailing_slash(given);
  std::string what = "cannot make the pool " + path.string();
  std::string parent_path = path.has_parent_path() ? path.parent_path().string() : ".";
  std::string name = path.filename().string();
  io::UniqueFd parent(::open(parent_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!parent) return fail_errno(what + ": '" + parent_path + "'", errno);
  if (::mkdirat(parent.get(), name.c_str(), how.mode & S_IRWXU) != 0) {
    return errno == EEXIST ? Status() : Status(fail_errno(std::move(what), errno));
  }
  Result<io::UniqueFd> made = open_own(parent.get(), name);
  Status set = made ? set_owner_and_mode(made->get(), how) : Status(fail(std::move(made.error())));
  if (set) return set;
  ::unlinkat(parent.get(), name.c_str(), AT_REMOVEDIR);
  set.error().message = what + ": " + set.error().message;
  return set;
}

std::optional<MkdirIfMissing> default_pool_mode() {
  const std::optional<mode_t> mode = taskdir::default_pool().make_with;
  return mode ? std::optional(MkdirIfMissing{*mode, {}, {}}) : std::nullopt;
}

}  // namespace bgtask
