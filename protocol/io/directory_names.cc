#include "protocol/io/directory_names.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "protocol/io/unique_fd.h"

namespace bgtask::io {
namespace {

// getdents64 directly: readdir(3) takes 32 KiB of heap, which a process short of memory does not have and an
// idle one does not give back.
Result<std::vector<std::string>> names_from(int directory) {
  std::vector<std::string> names;
  alignas(dirent64) char buffer[4096];
  for (;;) {
    const long size = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer);
    if (size < 0) return fail_errno("cannot list a directory", errno);
    if (size == 0) return names;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      const std::string_view found = entry->d_name;
      if (found != "." && found != "..") names.emplace_back(found);
      at += entry->d_reclen;
    }
  }
}

}  // namespace

Result<std::vector<std::string>> directory_names(int dir_fd, const char* name) {
  UniqueFd fd(::openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(std::string("cannot open the directory '") + name + "'", errno);
  return names_from(fd.get());
}

Result<std::vector<std::string>> own_names(int directory) {
  if (::lseek(directory, 0, SEEK_SET) != 0) return fail_errno("cannot list a directory", errno);
  return names_from(directory);
}

}  // namespace bgtask::io
