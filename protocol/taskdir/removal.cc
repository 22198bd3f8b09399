#include "protocol/taskdir/removal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "protocol/io/directory_names.h"
#include "protocol/io/random_token.h"
#include "protocol/taskdir/names.h"

namespace bgtask::taskdir {
namespace {

// Takes no descriptor: the caller may have none left.
Status delete_files(int directory) {
  Result<std::vector<std::string>> names = io::own_names(directory);
  if (!names && names.error().code == ErrorCode::kNotFound) return {};  // the directory itself is removed
  if (!names) return fail(std::move(names).error());
  std::erase(*names, kLock);
  names->emplace_back(kLock);
  for (const std::string& name : *names) {
    if (::unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) {
      return fail_errno("cannot remove '" + name + "'", errno, ErrorCode::kDenied);
    }
  }
  return {};
}

// The new name; nothing where the directory has lost its name meanwhile.
Result<std::string> withdraw(const Place& place) {
  std::string hidden = std::string(kWithdrawnPrefix) +
                       io::random_token().value_or(place.name + "-" + std::to_string(::getpid()));
  if (::renameat2(place.pool, place.name.c_str(), place.pool, hidden.c_str(), RENAME_NOREPLACE) == 0)
    return hidden;
  if (errno == ENOENT) return std::string();
  return fail_errno("cannot withdraw the task directory '" + place.name + "'", errno, ErrorCode::kDenied);
}

Status remove_name(const Place& place) {
  if (::unlinkat(place.pool, place.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  return fail_errno("cannot remove the task directory '" + place.name + "'", errno, ErrorCode::kDenied);
}

}  // namespace

Result<bool> in_place(const Place& place) {
  struct stat named {};
  struct stat own {};
  if (::fstat(place.directory, &own) != 0) return fail_errno("cannot examine the task directory", errno);
  if (::fstatat(place.pool, place.name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return false;
    return fail_errno("cannot examine the task directory's name", errno);
  }
  return named.st_dev == own.st_dev && named.st_ino == own.st_ino;
}

Status remove(Place& place) {
  const Result<bool> named = in_place(place);
  if (!named) return fail(Failure(named.error()));
  if (!*named) return delete_files(place.directory);
  std::string visible;
  if (!is_hidden(place.name)) {
    Result<std::string> hidden = withdraw(place);
    if (!hidden) return fail(std::move(hidden).error());
    if (hidden->empty()) return delete_files(place.directory);
    visible = std::exchange(place.name, std::move(*hidden));
  }
  Status deleted = delete_files(place.directory);
  if (deleted) return remove_name(place);
  if (!visible.empty() &&
      ::renameat2(place.pool, place.name.c_str(), place.pool, visible.c_str(), RENAME_NOREPLACE) == 0)
    place.name = visible;
  return deleted;
}

}  // namespace bgtask::taskdir
