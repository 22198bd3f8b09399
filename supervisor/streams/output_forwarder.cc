#include "supervisor/streams/output_forwarder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kPageBytes = 256 * 1024;
constexpr size_t kCarefulBytes = 4096;  // PIPE_BUF: a pipe that is writable takes so much without blocking

// O_NONBLOCK belongs to the open file, which our caller's shell may share: so it is opened again.
io::UniqueFd opened_again(int fd) {
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  return io::UniqueFd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

void say(const std::string& text) {
  std::fprintf(stderr, "bgtask: %s\n", text.c_str());
}

}  // namespace

Outlet::Outlet(io::Loop& loop, int fd, std::function<void()> writable)
    : loop_(loop), fd_(fd), writable_(std::move(writable)) {
  struct stat st {};
  if (::fstat(fd, &st) != 0 || S_ISREG(st.st_mode))
    return;  // a file never blocks for long, and cannot be watched
  socket_ = S_ISSOCK(st.st_mode);
  if (socket_) return;
  own_ = opened_again(fd);
  careful_ = !own_;
}

ssize_t Outlet::try_write(std::string_view data) {
  if (socket_) return ::send(fd_, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (own_) return ::write(own_.get(), data.data(), data.size());
  if (!careful_) return ::write(fd_, data.data(), data.size());
  pollfd ready{fd_, POLLOUT, 0};
  if (::poll(&ready, 1, 0) == 0) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(fd_, data.data(), std::min(data.size(), kCarefulBytes));
}

void Outlet::write(std::string data) {
  if (failed_) return;
  if (full()) {
    pending_.append(data);
    return;
  }
  pending_ = std::move(data);
  written_ = 0;
  flush();
}

void Outlet::flush() {
  while (full()) {
    const ssize_t n = try_write(std::string_view(pending_).substr(written_));
    if (n >= 0) {
      written_ += static_cast<size_t>(n);
      continue;
    }
    if (errno == EINTR) continue;
    const int error = errno;
    if (error == EAGAIN && can_be_watched()) return;
    failed_ = true;
    if (error != EPIPE)
      say(std::string("cannot write to ") + (fd_ == STDOUT_FILENO ? "stdout" : "stderr") + ": " +
          std::strerror(error) + "; the task goes on, 'bgtask logs' shows its output");
    break;
  }
  poll_.stop();
  pending_.clear();
  written_ = 0;
}

bool Outlet::can_be_watched() {
  if (poll_) return true;
  return static_cast<bool>(poll_.start(loop_, own_ ? own_.get() : fd_, UV_WRITABLE, [this](int) {
    flush();
    if (!full()) writable_();
  }));
}

OutputForwarder::OutputForwarder(io::Loop& loop, OutputStreams& output, Listener listener)
    : output_(output),
      listener_(std::move(listener)),
      out_(loop, STDOUT_FILENO, [this] { listener_.drained(); }),
      err_(loop, STDERR_FILENO, [this] { listener_.drained(); }) {}

bool OutputForwarder::drained() const {
  return !out_.full() && !err_.full() && ring::has_reached(cursor_, output_.reader().end());
}

void OutputForwarder::pump() {
  if (std::exchange(pumping_, true)) return;
  // Output that waits for one of the two holds the other up as well: they keep their order.
  while (!out_.full() && !err_.full() && !ring::has_reached(cursor_, output_.reader().end())) {
    const ring::OutputBatch batch =
        output_.reader().read(cursor_, ring::kAllOutput, kPageBytes, place_, ring::Pieces::kJoined);
    if (batch.next == cursor_) break;
    cursor_ = batch.next;
    place_ = batch.place;
    forward(batch);
  }
  pumping_ = false;
}

void OutputForwarder::forward(const ring::OutputBatch& batch) {
  for (const StreamId stream : {StreamId::kStdout, StreamId::kStderr}) {
    const uint64_t lost = batch.lost[static_cast<size_t>(stream) - 1];
    const uint64_t taken = batch.taken[static_cast<size_t>(stream) - 1];
    const std::string of_stream = stream == StreamId::kStdout ? " bytes of stdout" : " bytes of stderr";
    if (taken > 0) say(std::to_string(taken) + of_stream + " have been read already");
    if (lost > 0) say(std::to_string(lost) + of_stream + " are gone");
  }
  for (const ring::OutputChunk& chunk : batch.chunks) {
    if (chunk.stream != StreamId::kData) (chunk.stream == StreamId::kStdout ? out_ : err_).write(chunk.data);
    if (!listener_.taken) continue;
    const bool message = chunk.stream == StreamId::kData;
    output_.rings().consume(chunk.stream, chunk.offset + (message ? 1 : chunk.data.size()));
  }
  if (!listener_.taken) return;
  for (const StreamId stream : kOutputStreams)
    listener_.taken(stream);
}

}  // namespace bgtask::supervisor
