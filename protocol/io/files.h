// Files opened relative to directories, read whole, written by replacement.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask::io {

/// Reads the regular file `name` in `dir_fd`, never following a symlink and never blocking on a FIFO. At most
/// `max_size` bytes, else frame_too_large. Where `owner` is given the file must belong to that user or to
/// root: denied.
Result<std::string> read_file(int dir_fd, const char* name, size_t max_size, const uid_t* owner = nullptr);

/// Replaces `name` in `dir_fd`: writes `name` + ".new", then renames it. On failure the old file stays.
/// `mode` is exact where it is more than 0600.
Status replace_file(int dir_fd, const char* name, std::string_view content, mode_t mode = 0600);

/// Reads from `fd` until EOF. At most `max_size` bytes, else frame_too_large. `expected`: the size of the
/// file, where it is known.
Result<std::string> read_all(int fd, size_t max_size, size_t expected = 0);
/// Non-blocking flock(2); never fails with EINTR.
int try_flock(int fd, int kind);

/// Whether /proc is mounted: sockets and processes are found through it.
bool proc_is_mounted();
/// The failure of using a path in /proc. Without /proc the message says so and names the remedy.
tl::unexpected<Failure> fail_in_proc(std::string what, int os_error);

/// Writes everything to a blocking `fd`.
Status write_all(int fd, std::string_view bytes);

}  // namespace bgtask::io
