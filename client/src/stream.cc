#include <bgtask/error.h>
#include <bgtask/stream.h>

#include <algorithm>
#include <string>

#include "client/src/replies.h"
#include "client/src/stdin_writing.h"
#include "client/src/stream_names.h"
#include "client/src/stream_reading.h"
#include "client/src/task_core.h"
#include "client/src/throwing.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/messages.h"

namespace bgtask {
namespace {

int number_of(const std::string& name) {
  return *stream_by_name(name);
}

/// A stream of bytes that come from the task.
int byte_stream(const std::string& name) {
  const int number = number_of(name);
  if (number == kStdout || number == kStderr) return number;
  throw Error("bad_argument", number == kData ? "data consists of messages: use messages() or peek_messages()"
                                              : "stdin cannot be read");
}

void check_data(const std::string& name) {
  if (number_of(name) != kData) throw Error("bad_argument", name + " has no messages, only data has");
}

void check_order(std::uint64_t begin, std::optional<std::uint64_t> end) {
  if (end && *end < begin) throw Error("bad_argument", "end lies before begin");
}

}  // namespace

Json Stream::info() const {
  return value_or_throw(stream_info(*task_, number_of(name_)));
}

std::uint64_t Stream::start() const {
  return number_in(info(), "start");
}
std::uint64_t Stream::consumed() const {
  return number_in(info(), "consumed");
}
std::uint64_t Stream::limit() const {
  return number_in(info(), "limit");
}

ReadResult Stream::read() const {
  return value_or_throw(read_stream(*task_, byte_stream(name_), {}));
}

ReadResult Stream::read(std::uint64_t begin, std::optional<std::uint64_t> end) const {
  check_order(begin, end);
  return value_or_throw(read_stream(*task_, byte_stream(name_), {begin, end}));
}

ReadResult Stream::take(std::uint64_t count) const {
  return value_or_throw(take_stream(*task_, byte_stream(name_), count));
}

ReadResult Stream::peek() const {
  return value_or_throw(peek_stream(*task_, byte_stream(name_), {}));
}

ReadResult Stream::peek(std::uint64_t begin, std::optional<std::uint64_t> end) const {
  check_order(begin, end);
  return value_or_throw(peek_stream(*task_, byte_stream(name_), {begin, end}));
}

ReadResult Stream::discard(std::optional<std::uint64_t> end) const {
  const int number = number_of(name_);
  return value_or_throw(discard_stream(*task_, number == kData ? kData : byte_stream(name_), end));
}

MessagesResult Stream::messages() const {
  check_data(name_);
  return value_or_throw(read_data(*task_, {}));
}

MessagesResult Stream::messages(std::uint64_t begin, std::optional<std::uint64_t> end) const {
  check_data(name_);
  check_order(begin, end);
  return value_or_throw(read_data(*task_, {begin, end}));
}

MessagesResult Stream::take_messages(std::uint64_t count) const {
  check_data(name_);
  return value_or_throw(take_data(*task_, count));
}

MessagesResult Stream::peek_messages() const {
  check_data(name_);
  return value_or_throw(peek_data(*task_, {}));
}

MessagesResult Stream::peek_messages(std::uint64_t begin, std::optional<std::uint64_t> end) const {
  check_data(name_);
  check_order(begin, end);
  return value_or_throw(peek_data(*task_, {begin, end}));
}

WriteResult Stream::write(std::string_view data) const {
  const wire::Stream stream{number_of(name_)};
  WriteResult total;
  do {
    const std::string_view piece = data.substr(0, wire::kMaxWriteData);
    Result<wire::WriteReply> reply = write_piece(*task_, stream, piece);
    if (!reply && reply.error().code == ErrorCode::kWouldBlock && total.accepted > 0) break;
    const WriteResult taken = to_write_result(value_or_throw(std::move(reply)));
    const std::uint64_t accepted = std::min<std::uint64_t>(taken.accepted, piece.size());
    total.accepted += accepted;
    total.pending = taken.pending;
    data.remove_prefix(accepted);
    if (accepted < piece.size()) break;
  } while (!data.empty());
  return total;
}

void Stream::write_all(std::string_view data) const {
  value_or_throw(write_whole(*task_, wire::Stream{number_of(name_)}, data));
}

void Stream::close(bool immediate) const {
  value_or_throw(task_->ask(wire::CloseRequest{.stream = {number_of(name_)}, .immediate = immediate}));
}

}  // namespace bgtask
