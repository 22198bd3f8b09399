#include "protocol/io/safe_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "protocol/io/users.h"

namespace bgtask::io {
namespace {

// Names the directory that the link points at, where it is one.
std::string remedy_for_link(const std::string& path) {
  char* target = ::realpath(path.c_str(), nullptr);
  if (target == nullptr) return " that points at nothing: name the pool's directory itself";
  std::string remedy = ": name the directory it points at, " + std::string(target);
  std::free(target);
  return remedy;
}

// The kernel says ENOTDIR both for a symlink and for a parent that is a file.
tl::unexpected<Failure> cannot_open(const std::string& path, int os_error) {
  struct stat info {};
  if ((os_error == ENOTDIR || os_error == ELOOP) && ::lstat(path.c_str(), &info) == 0) {
    return fail(
        ErrorCode::kUnsafePool,
        "pool " + path +
            (S_ISLNK(info.st_mode) ? " is a symbolic link" + remedy_for_link(path) : " is not a directory"));
  }
  if (os_error == ENOTDIR) os_error = ENOENT;
  return fail_errno("cannot open the pool " + path, os_error, ErrorCode::kUnsafePool);
}

Status check(const std::string& path, const struct stat& info) {
  uid_t caller = ::geteuid();
  if (is_unknown_user(info.st_uid)) {
    return fail(ErrorCode::kUnsafePool,
                "pool " + path + " belongs to a user for whom this user namespace has no number");
  }
  if (caller != 0 && info.st_uid != caller && info.st_uid != 0) {
    return fail(ErrorCode::kUnsafePool, "pool " + path + " belongs to user " + std::to_string(info.st_uid));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return fail(ErrorCode::kUnsafePool,
                "pool " + path + " can be written by its group or by others: chmod go-w " + path);
  }
  return {};
}

}  // namespace

std::string directory_name(std::string path) {
  while (path.size() > 1) {
    if (path.ends_with('/')) {
      path.pop_back();
    } else if (path.ends_with("/.")) {
      path.resize(path.size() - 1);
    } else {
      break;
    }
  }
  return path;
}

Result<UniqueFd> open_safe_directory(const std::string& path) {
  std::string name = directory_name(path);
  UniqueFd fd(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return cannot_open(name, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno("cannot examine the pool " + name, errno);
  if (Status safe = check(name, info); !safe) return fail(std::move(safe).error());
  return fd;
}

}  // namespace bgtask::io
