#include "supervisor/streams/stdin_queue.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "protocol/wire/limits.h"

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kRetryMs = 100;
constexpr size_t kWorthGrowing = 64 * 1024;
constexpr int kGrownPipe = 1 << 20;  // as far as an ordinary user may go

}  // namespace

void StdinQueue::open(io::UniqueFd pipe) {
  shut();
  pipe_ = std::move(pipe);
  written_ = 0;
  grown_ = false;
}

Result<StdinQueue::Written> StdinQueue::write(std::string_view bytes) {
  if (eof()) return fail(ErrorCode::kStdinClosed, "the task's stdin is closed");
  flush();
  if (!pipe_) return fail(ErrorCode::kStdinClosed, "the task has closed its stdin");
  uint64_t room = wire::kMaxStdinQueue - pending();
  if (room == 0 && !bytes.empty()) {
    return fail(ErrorCode::kWouldBlock,
                "the task does not read its stdin: the queue is full; try again later");
  }
  bytes = bytes.substr(0, room);
  // What the pipe takes at once need not be queued.
  const size_t direct = pending() == 0 ? put(bytes) : 0;
  if (pipe_) queue_.append(bytes.substr(direct));
  flush();
  if (!pipe_) return fail(ErrorCode::kStdinClosed, "the task has closed its stdin");
  written_ += bytes.size();
  return Written{bytes.size(), pending(), wire::kMaxStdinQueue - pending()};
}

Status StdinQueue::close(bool immediate) {
  if (!pipe_) return fail(ErrorCode::kStdinClosed, "the task's stdin is closed");
  closing_ = true;
  if (immediate || pending() == 0) shut();
  return {};
}

void StdinQueue::abandon() {
  shut();
}

void StdinQueue::flush() {
  if (pipe_ && pending() > 0) begin_ += put(std::string_view(queue_).substr(begin_));
  if (!pipe_) return;
  if (pending() > 0) return wait_for_room();
  poll_.stop();
  std::string().swap(queue_);
  begin_ = 0;
  if (closing_) shut();
}

// Writes as much as the pipe takes; how much that was.
size_t StdinQueue::put(std::string_view bytes) {
  size_t done = 0;
  while (pipe_ && done < bytes.size()) {
    ssize_t n = ::write(pipe_.get(), bytes.data() + done, bytes.size() - done);
    if (n >= 0) {
      done += static_cast<size_t>(n);
    } else if (errno == EPIPE) {
      shut();  // the task closed its end
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      // No memory for the pipe, or the like: that passes, and nothing would announce it.
      poll_.stop();
      retry_.start(loop_, kRetryMs, [this] { flush(); });
      break;
    }
  }
  return done;
}

// The task reads, and more waits than the pipe holds: one that takes more saves turns. A quota may refuse it.
void StdinQueue::grow_pipe() {
  if (grown_ || pending() < kWorthGrowing) return;
  grown_ = true;
  static_cast<void>(::fcntl(pipe_.get(), F_SETPIPE_SZ, kGrownPipe));
}

void StdinQueue::wait_for_room() {
  if (!poll_ && !retry_.running()) {
    Status watched = poll_.start(loop_, pipe_.get(), UV_WRITABLE, [this](int) {
      grow_pipe();
      flush();
    });
    if (!watched) return;  // tried again at the next write
  }
  // Moving the rest to the front at every write would cost more than the copy saves.
  if (begin_ > queue_.size() / 2) {
    queue_.erase(0, begin_);
    begin_ = 0;
  }
}

void StdinQueue::shut() {
  poll_.stop();
  retry_.stop();
  pipe_.reset();
  std::string().swap(queue_);
  begin_ = 0;
  closing_ = false;
}

}  // namespace bgtask::supervisor
