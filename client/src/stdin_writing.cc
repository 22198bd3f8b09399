#include "client/src/stdin_writing.h"

#include <algorithm>
#include <cstdint>
#include <deque>

#include "client/src/deadline.h"
#include "protocol/wire/limits.h"

namespace bgtask {
namespace {

constexpr std::size_t kMostOnTheWay = 8;
/// A write that is less, though there is more to write, costs more than waiting for room.
constexpr std::size_t kWorthSending = 64 * 1024;

struct Sent {
  std::int64_t id;
  std::size_t size;
};

struct Ahead {
  std::size_t accepted = 0;  ///< less than all where there was no room for more
  std::uint64_t room = 0;    ///< for writes that follow on; 0 if the last one was not taken whole
};

/// Sends without waiting for the reply to the write before, as far as there is room. Each write says that it
/// follows on that one, so the supervisor refuses it where that was taken in part only.
Result<Ahead> write_ahead(TaskCore& task, wire::Stream stream, std::string_view data, std::uint64_t room) {
  const wire::WriteRequest request{.stream = stream, .follows = true};
  std::deque<Sent> on_the_way;
  std::size_t unanswered = 0;
  std::size_t accepted = 0;
  bool whole = true;
  for (;;) {
    while (whole && on_the_way.size() < kMostOnTheWay) {
      const std::size_t fits =
          std::min<std::uint64_t>(room - std::min<std::uint64_t>(room, unanswered), wire::kMaxWriteData);
      const std::string_view piece = data.substr(0, fits);
      if (piece.size() < std::min(kWorthSending, data.size()) || piece.empty()) break;
      const Result<std::int64_t> id = task.send_write(request, piece);
      if (!id) return fail(Failure(id.error()));
      on_the_way.push_back({*id, piece.size()});
      unanswered += piece.size();
      data.remove_prefix(piece.size());
    }
    if (on_the_way.empty()) return Ahead{accepted, whole ? room : 0};
    const Sent oldest = on_the_way.front();
    const Result<wire::WriteReply> reply = task.answer(oldest.id);
    on_the_way.pop_front();
    unanswered -= oldest.size;
    const bool refused = !reply && reply.error().code == ErrorCode::kWouldBlock;
    if (!reply && !refused) return fail(Failure(reply.error()));
    const std::size_t taken = refused ? 0 : std::min(reply->accepted, std::uint64_t{oldest.size});
    accepted += taken;
    whole = whole && taken == oldest.size;
    room = refused ? 0 : reply->room;
  }
}

}  // namespace

Result<wire::WriteReply> write_piece(TaskCore& task, wire::Stream stream, std::string_view data) {
  return task.ask(wire::WriteRequest{.stream = stream, .data = wire::Bytes(data)});
}

Status write_whole(TaskCore& task, wire::Stream stream, std::string_view data) {
  if (data.empty()) {  // even so it is an error to write to what is closed
    Result<wire::WriteReply> reply = write_piece(task, stream, data);
    return reply ? Status() : fail(std::move(reply).error());
  }
  std::uint64_t room = task.room_to_follow();
  task.keep_room(0);
  for (Backoff backoff;;) {  // nobody tells us when there is room again
    const Result<Ahead> ahead = write_ahead(task, stream, data, room);
    if (!ahead) return fail(Failure(ahead.error()));
    data.remove_prefix(ahead->accepted);
    task.keep_room(ahead->room);
    if (data.empty()) return {};
    const std::string_view piece = data.substr(0, wire::kMaxWriteData);
    const Result<wire::WriteReply> reply = write_piece(task, stream, piece);
    if (!reply && reply.error().code == ErrorCode::kWouldBlock) {
      room = 0;
      backoff.wait(Deadline::never());
      continue;
    }
    if (!reply) return fail(Failure(reply.error()));
    const std::uint64_t accepted = std::min<std::uint64_t>(reply->accepted, piece.size());
    if (accepted > 0) backoff = Backoff();
    data.remove_prefix(accepted);
    // An older supervisor tells no room, and does not know of writes that follow on another.
    room = accepted == piece.size() ? reply->room : 0;
  }
}

}  // namespace bgtask
