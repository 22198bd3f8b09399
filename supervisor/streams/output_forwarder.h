// Forwards a task's output to the supervisor's own stdout and stderr, for a supervisor that took the place of
// the process that was started.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/io/unique_fd.h"
#include "protocol/io/uv_handles.h"
#include "protocol/ring/output_reader.h"
#include "supervisor/streams/output_streams.h"

namespace bgtask::supervisor {

/// One of the supervisor's own descriptors, written to without ever waiting in a system call.
class Outlet {
 public:
  /// `writable` is called when an outlet that was full has taken the rest.
  Outlet(io::Loop& loop, int fd, std::function<void()> writable);

  /// Writes as much as is taken now, and keeps the rest.
  void write(std::string data);
  /// Whether something is kept.
  bool full() const { return written_ < pending_.size(); }
  /// Whether an error ended it; what is written then goes nowhere.
  bool failed() const { return failed_; }

 private:
  ssize_t try_write(std::string_view data);
  void flush();
  bool can_be_watched();

  io::Loop& loop_;
  int fd_;
  io::UniqueFd own_;  // the same pipe or terminal, opened again to be non-blocking for us alone
  bool socket_ = false;
  bool careful_ = false;  // may block: only small pieces, when poll says so
  bool failed_ = false;
  std::string pending_;
  size_t written_ = 0;  // of pending_
  io::Poll poll_;
  std::function<void()> writable_;
};

/// Keeps a cursor of its own into the rings, as every reader does: a slow reader of our stdout holds up
/// nothing, unless the task asked for overflow "block". A descriptor that cannot be written to ends the
/// forwarding to it, not the task.
class OutputForwarder {
 public:
  struct Listener {
    std::function<void(StreamId)> taken;  ///< room was made; none: what is forwarded stays unconsumed
    std::function<void()> drained;        ///< an outlet that was full has taken what there was
  };

  OutputForwarder(io::Loop& loop, OutputStreams& output, Listener listener);

  /// Forwards what has come since the last call, as far as it is taken now.
  void pump();
  /// Whether everything that has come was forwarded.
  bool drained() const;

 private:
  void forward(const ring::OutputBatch& batch);

  OutputStreams& output_;
  Listener listener_;
  Outlet out_;
  Outlet err_;
  uint64_t cursor_ = 1;  // the beginning
  std::optional<ring::OutputPlace> place_;
  bool pumping_ = false;  // room that was made may bring more at once
};

}  // namespace bgtask::supervisor
