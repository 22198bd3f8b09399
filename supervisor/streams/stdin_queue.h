// The task's stdin: a pipe clients write to, with a bounded queue for what the task has not read yet.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/io/unique_fd.h"
#include "protocol/io/uv_handles.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

/// Which of a client's messages were writes that were taken whole: what follows on such a one, and on nothing
/// else, may be sent without waiting for its reply.
struct WriteChain {
  bool before = false;  ///< the message before
  bool now = false;     ///< this one
};

class StdinQueue {
 public:
  explicit StdinQueue(io::Loop& loop) : loop_(loop) {}

  /// A new run of the command: its pipe, or none where the child has /dev/null. What was queued is gone.
  void open(io::UniqueFd pipe);

  struct Written {
    uint64_t accepted;
    uint64_t pending;
    uint64_t room;  ///< what would be taken now
  };
  /// Takes what there is room for. stdin_closed, would_block when there is none at all.
  Result<Written> write(std::string_view bytes);
  /// Gives EOF once the queue is empty, or at once, dropping the queue. stdin_closed where there is no stdin.
  Status close(bool immediate);
  /// The child is gone: nobody will read any more.
  void abandon();

  uint64_t pending() const { return queue_.size() - begin_; }
  uint64_t written() const { return written_; }
  bool eof() const { return !pipe_ || closing_; }

 private:
  void flush();
  size_t put(std::string_view bytes);
  void wait_for_room();
  void grow_pipe();
  void shut();

  io::Loop& loop_;
  io::UniqueFd pipe_;
  io::Poll poll_;
  io::Timer retry_;
  std::string queue_;
  size_t begin_ = 0;
  uint64_t written_ = 0;
  bool closing_ = false;
  bool grown_ = false;  // the pipe, or it was tried
};

}  // namespace bgtask::supervisor
