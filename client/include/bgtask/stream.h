/// \file
/// One stream of a task.
#pragma once

#include <bgtask/json.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bgtask {

class Task;

/// Bytes of stdout or stderr. Offsets count every byte the task ever wrote and never restart.
struct ReadResult {
  std::uint64_t offset = 0;    ///< offset of the first byte of `data`
  std::string data;            ///< the bytes, as the task wrote them
  std::uint64_t missed = 0;    ///< how many of the bytes asked for are gone
  std::uint64_t start = 0;     ///< offset of the earliest byte that can still be read
  std::uint64_t consumed = 0;  ///< everything below has been taken by a consuming read
  std::uint64_t limit = 0;     ///< offset after the last byte
  std::uint64_t lost = 0;      ///< bytes overwritten before anyone consumed them, ever
  bool eof = false;            ///< no more will come (there may still be bytes to read, see `limit`)
  std::uint64_t taken = 0;     ///< how many of the `missed` a consuming read has taken; the others are lost
  bool gap = false;            ///< more may be missing than could be counted (see OutputGap)
};

/// One message the task sent on its data channel.
struct DataMessage {
  std::uint64_t offset = 0;  ///< its number, counted from 0
  double time = 0;           ///< when it was taken in, seconds since the epoch
  std::string data;          ///< its bytes; may be empty
};

/// Data messages with their boundaries. Can be used in a range-for.
struct MessagesResult {
  std::uint64_t offset = 0;  ///< number of the first message given
  std::vector<DataMessage> messages;
  std::uint64_t missed = 0;  ///< how many of the messages asked for are gone
  std::uint64_t start = 0, consumed = 0, limit = 0, lost = 0;  ///< as in ReadResult, in messages
  bool eof = false;
  std::uint64_t taken = 0;
  bool gap = false;

  auto begin() const { return messages.begin(); }
  auto end() const { return messages.end(); }
  std::size_t size() const { return messages.size(); }
  bool empty() const { return messages.empty(); }
};

/// How much of a write to stdin was taken.
struct WriteResult {
  std::uint64_t accepted = 0;  ///< bytes taken; fewer than given when the queue had room for part only
  std::uint64_t pending = 0;   ///< bytes that wait in the supervisor for the task to read them
};

/// A stream of a task: stdin (0), stdout (1), stderr (2) or data. Get it with Task::stream(). Cheap to copy;
/// it shares the task's connection. Not to be used from two threads at once.
///
/// One call returns at most about 64 MiB, from the beginning of what was asked for; the next goes on from
/// there.
///
/// \code
/// bgtask::Task task(pid);
/// std::cout << task.stream("stdout").read().data;      // takes all there is
/// auto part = task.stream(1).peek(12, 35);              // bytes [12, 35) if they are still there
/// \endcode
///
/// Every function throws Error: not_found, denied, unresponsive when the task cannot be reached, bad_argument
/// when the stream does not have what was asked (e.g. read on stdin).
class Stream {
 public:
  /// "stdin", "stdout", "stderr" or "data".
  const std::string& name() const noexcept { return name_; }

  /// This stream's part of the info document, fresh. Read from the ring's header without waking the
  /// supervisor where the ring is a file.
  Json info() const;
  /// Offset of the earliest byte (message) that can still be read.
  std::uint64_t start() const;
  /// Everything below this offset has been taken by a consuming read.
  std::uint64_t consumed() const;
  /// Offset after the last byte (message).
  std::uint64_t limit() const;

  /// Takes and returns everything not yet consumed. Of two readers each byte goes to one of them only.
  /// Where the supervisor is dead the bytes come from the ring file and stay unconsumed, for nobody may write
  /// there. Not for "data": see messages().
  ReadResult read() const;
  /// Takes and returns at most `count` bytes from the first unconsumed one on: fewer where there are no more
  /// just now, or where another reader took what follows. Without a supervisor as read().
  ReadResult take(std::uint64_t count) const;
  /// Bytes [begin, end) as far as they are there; takes them and everything below. With `end` absent: to the
  /// end.
  ReadResult read(std::uint64_t begin, std::optional<std::uint64_t> end = std::nullopt) const;
  /// As read, but takes nothing. Without arguments: everything unconsumed. Wakes no supervisor where the ring
  /// is a file.
  ReadResult peek() const;
  ReadResult peek(std::uint64_t begin, std::optional<std::uint64_t> end = std::nullopt) const;
  /// Takes everything up to `end` (default: all there is) without returning it; nothing below stays readable.
  /// Returns the stream's counters, `data` empty.
  ReadResult discard(std::optional<std::uint64_t> end = std::nullopt) const;

  /// Takes and returns the data messages not yet consumed. Only for "data".
  MessagesResult messages() const;
  /// Takes and returns at most `count` data messages from the first unconsumed one on.
  MessagesResult take_messages(std::uint64_t count) const;
  /// Messages [begin, end), taken.
  MessagesResult messages(std::uint64_t begin, std::optional<std::uint64_t> end = std::nullopt) const;
  /// As messages, but takes nothing.
  MessagesResult peek_messages() const;
  MessagesResult peek_messages(std::uint64_t begin, std::optional<std::uint64_t> end = std::nullopt) const;

  /// Writes to the task's stdin, as much as the bounded queue (1 MiB) takes; look at `accepted`.
  /// \throws Error stdin_closed (closed, or the task has no stdin), would_block (no room at all)
  WriteResult write(std::string_view data) const;
  /// Writes all of it, waiting for room as the task reads. \throws Error as write, without would_block.
  void write_all(std::string_view data) const;
  /// Closes the task's stdin: the task reads EOF after what is queued, or at once where `immediate` (what is
  /// queued is then dropped).
  void close(bool immediate = false) const;

 private:
  friend class Task;
  struct Impl;
  Stream(std::shared_ptr<Impl> task, std::string name) : task_(std::move(task)), name_(std::move(name)) {}
  std::shared_ptr<Impl> task_;
  std::string name_;
};

}  // namespace bgtask
