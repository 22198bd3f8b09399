// What the ring tests share: a private directory, a byte for each offset, pipes, forked children.
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "protocol/io/unique_fd.h"
#include "protocol/ring/byte_ring.h"
#include "protocol/ring/ring_view.h"
#include "protocol/ring/storage.h"

namespace bgtask::ring {

inline char byte_at(uint64_t offset) {
  return static_cast<char>((offset * 0x9E3779B97F4A7C15u) >> 56 ^ (offset >> 11));
}

inline std::string pattern(uint64_t offset, uint64_t length) {
  std::string bytes(length, '\0');
  for (uint64_t i = 0; i < length; ++i)
    bytes[i] = byte_at(offset + i);
  return bytes;
}

inline std::span<const std::byte> as_span(const std::string& bytes) {
  return std::as_bytes(std::span(bytes.data(), bytes.size()));
}

inline std::string text_of(const Positions& p) {
  return "start " + std::to_string(p.start) + " consumed " + std::to_string(p.consumed) + " limit " +
         std::to_string(p.limit) + " lost " + std::to_string(p.lost);
}

/// A fresh directory that goes with what is in it.
class TempDir {
 public:
  TempDir() {
    if (::mkdtemp(path_) == nullptr) std::abort();
    fd_.reset(::open(path_, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~TempDir() {
    DIR* dir = ::opendir(path_);
    while (const dirent* entry = ::readdir(dir))
      ::unlinkat(fd_.get(), entry->d_name, 0);
    ::closedir(dir);
    ::rmdir(path_);
  }
  int fd() const { return fd_.get(); }
  uint64_t blocks(const char* name) const {
    struct stat st {};
    ::fstatat(fd_.get(), name, &st, 0);
    return static_cast<uint64_t>(st.st_blocks) * 512;
  }

 private:
  char path_[40] = "/dev/shm/bgtask-ring-XXXXXX";
  io::UniqueFd fd_;
};

struct Pipe {
  io::UniqueFd read_end, write_end;
  explicit Pipe(int size = 1 << 20) {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
    read_end.reset(fds[0]);
    write_end.reset(fds[1]);
    ::fcntl(fds[1], F_SETPIPE_SZ, size);
  }
  uint64_t put(const std::string& bytes) const {
    const ssize_t n = ::write(write_end.get(), bytes.data(), bytes.size());
    return n < 0 ? 0 : static_cast<uint64_t>(n);
  }
};

inline Storage memory(uint64_t capacity, Kind kind = Kind::kBytes) {
  return std::move(Storage::create_memory(kind, capacity).value());
}
inline Storage create(const TempDir& dir, const char* name, uint64_t capacity, Kind kind = Kind::kBytes) {
  return std::move(Storage::create_file(dir.fd(), name, kind, capacity).value());
}
inline Storage reopen(const TempDir& dir, const char* name, Kind kind = Kind::kBytes) {
  return std::move(Storage::open_file(dir.fd(), name, kind).value());
}
inline RingView view(const TempDir& dir, const char* name, Access access, Kind kind = Kind::kBytes) {
  return std::move(RingView::open(dir.fd(), name, kind, access).value());
}

/// A forked process; killed and reaped when it goes out of scope.
class Child {
 public:
  explicit Child(const std::function<void()>& body) : pid_(::fork()) {
    if (pid_ != 0) return;
    body();
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  ~Child() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }
  void signal(int number) const { ::kill(pid_, number); }

 private:
  pid_t pid_;
};

class Deadline {
 public:
  explicit Deadline(std::chrono::milliseconds from_now) : at_(std::chrono::steady_clock::now() + from_now) {}
  bool passed() const { return std::chrono::steady_clock::now() >= at_; }

 private:
  std::chrono::steady_clock::time_point at_;
};

}  // namespace bgtask::ring
