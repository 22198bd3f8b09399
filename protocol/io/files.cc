#include "protocol/io/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace bgtask::io {
namespace {

constexpr size_t kFirstReadStep = 4096;
constexpr size_t kReadStep = 64 * 1024;

std::string quoted(const char* name) {
  return std::string("'") + name + "'";
}

}  // namespace

Result<std::string> read_all(int fd, size_t max_size, size_t expected) {
  std::string content;
  // A file of the expected length is read with one call into exactly that much memory.
  if (expected > 0 && expected <= max_size) {
    content.resize(expected + 1);
    const ssize_t n = ::read(fd, content.data(), content.size());
    if (n < 0 && errno != EINTR) return fail_errno("cannot read", errno);
    content.resize(n > 0 ? static_cast<size_t>(n) : 0);
    if (content.size() == expected) return content;
  }
  while (content.size() <= max_size) {
    size_t size = content.size();
    // Most files are small, and touched memory is hard to give back.
    size_t step = std::clamp(size, kFirstReadStep, kReadStep);
    content.resize(size + step);
    ssize_t n = ::read(fd, content.data() + size, step);
    int error = errno;
    content.resize(size + (n > 0 ? static_cast<size_t>(n) : 0));
    if (n == 0) return content;
    if (n < 0 && error != EINTR) return fail_errno("cannot read", error);
  }
  return fail(ErrorCode::kFrameTooLarge, "longer than " + std::to_string(max_size) + " bytes");
}

Result<std::string> read_file(int dir_fd, const char* name, size_t max_size, const uid_t* owner) {
  UniqueFd fd(::openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd) {
    if (errno == ELOOP) return fail(ErrorCode::kDenied, quoted(name) + " is a symbolic link");
    return fail_errno("cannot open " + quoted(name), errno);
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return fail_errno("cannot examine " + quoted(name), errno);
  if (!S_ISREG(st.st_mode)) return fail(ErrorCode::kDenied, quoted(name) + " is not a regular file");
  if (owner != nullptr && st.st_uid != *owner && st.st_uid != 0) {
    return fail(ErrorCode::kDenied, quoted(name) + " belongs to user " + std::to_string(st.st_uid) +
                                        ", not to " + std::to_string(*owner));
  }
  Result<std::string> content = read_all(fd.get(), max_size, static_cast<size_t>(st.st_size));
  if (!content) content.error().message = quoted(name) + ": " + content.error().message;
  return content;
}

int try_flock(int fd, int kind) {
  int result = 0;
  do {
    result = ::flock(fd, kind | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result;
}

bool proc_is_mounted() {
  return ::access("/proc/self/fd", F_OK) == 0;
}

tl::unexpected<Failure> fail_in_proc(std::string what, int os_error) {
  if (os_error == ENOENT && !proc_is_mounted())
    what += " (/proc is not mounted; 'mount -t proc proc /proc' does that)";
  return fail_errno(std::move(what), os_error);
}

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("cannot write", errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Status replace_file(int dir_fd, const char* name, std::string_view content, mode_t mode) {
  std::string fresh = std::string(name) + ".new";
  UniqueFd fd(::openat(dir_fd, fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("cannot create " + quoted(fresh.c_str()), errno);
  Status written = write_all(fd.get(), content);
  if (written && mode != 0600 && ::fchmod(fd.get(), mode) != 0)
    written = fail_errno("cannot set its mode", errno);
  if (!written) {
    written.error().message = quoted(fresh.c_str()) + ": " + written.error().message;
    ::unlinkat(dir_fd, fresh.c_str(), 0);
    return written;
  }
  if (::renameat(dir_fd, fresh.c_str(), dir_fd, name) == 0) return {};
  int error = errno;
  ::unlinkat(dir_fd, fresh.c_str(), 0);
  return fail_errno("cannot put " + quoted(name) + " in place", error);
}

}  // namespace bgtask::io
