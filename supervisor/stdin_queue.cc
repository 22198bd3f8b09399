#include "supervisor/stdin_queue.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "protocol/wire/limits.h"

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kRetryMs = 100;

}  // namespace

void StdinQueue::open(io::UniqueFd pipe) {
  shut();
  pipe_ = std::move(pipe);
  written_ = 0;
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
  queue_.append(bytes);
  flush();
  if (!pipe_) return fail(ErrorCode::kStdinClosed, "the task has closed its stdin");
  written_ += bytes.size();
  return Written{bytes.size(), pending()};
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
  while (pipe_ && pending() > 0) {
    ssize_t n = ::write(pipe_.get(), queue_.data() + begin_, pending());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (!poll_) {
        Status watched = poll_.start(loop_, pipe_.get(), UV_WRITABLE, [this](int) { flush(); });
        if (!watched) return;  // tried again at the next write
      }
      // Moving the rest to the front at every write would cost more than the copy saves.
      if (begin_ > queue_.size() / 2) {
        queue_.erase(0, begin_);
        begin_ = 0;
      }
      return;
    }
    if (n < 0 && errno == EPIPE) return shut();  // the task closed its end
    // No memory for the pipe, or the like: that passes, and nothing would announce it.
    if (n < 0) {
      poll_.stop();
      return retry_.start(loop_, kRetryMs, [this] { flush(); });
    }
    begin_ += static_cast<size_t>(n);
  }
  poll_.stop();
  std::string().swap(queue_);
  begin_ = 0;
  if (closing_) shut();
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
