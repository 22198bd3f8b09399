#include <algorithm>

#include "supervisor/clients/methods/handlers.h"
#include "supervisor/clients/pages.h"

namespace bgtask::supervisor {
namespace {

struct Range {
  uint64_t offset;
  uint64_t end;  // as asked for; may lie beyond the limit
};

Range asked_range(const wire::ReadRequest& request, const ring::Positions& positions) {
  uint64_t offset = request.offset.value_or(positions.consumed);
  uint64_t count = request.count.value_or(UINT64_MAX);
  return {offset, count > UINT64_MAX - offset ? UINT64_MAX : offset + count};
}

wire::ReadReply empty_reply(StreamId stream) {
  wire::ReadReply reply;
  if (stream == StreamId::kData) {
    reply.messages.emplace();
  } else {
    reply.data.emplace();
  }
  return reply;
}

void set_positions(wire::ReadReply& reply, const ring::Positions& positions) {
  reply.start = positions.start;
  reply.consumed = positions.consumed;
  reply.limit = positions.limit;
  reply.lost = positions.lost;
  reply.gap = positions.gap;
  reply.eof = positions.eof;
  reply.taken = ring::missing(reply.offset - reply.missed, reply.missed, positions).taken;
}

// Fills in the data of `count` units from `begin` on, as far as a page goes; returns where it ends.
uint64_t read_page(const Call& call, StreamId stream, uint64_t begin, uint64_t count,
                   wire::ReadReply& reply) {
  const ring::RingView& view = call.task.output().view(stream);
  if (stream != StreamId::kData) {
    ring::ByteRead read = ring::read_bytes(view, begin, std::min<uint64_t>(count, page_bytes(call.encoding)));
    reply.data.emplace(read.data);
    return begin + read.data.size();
  }
  ring::MessageRead read = ring::read_messages(
      view, begin, std::min<uint64_t>(count, max_messages(call.encoding)), piece_bytes(call.encoding));
  for (const ring::Message& message : read.messages) {
    reply.messages->push_back({message.offset, seconds_of_ns(message.time_ns), wire::Bytes(message.data)});
  }
  return begin + read.messages.size();
}

wire::ReadReply discard(const Call& call, StreamId stream, const wire::ReadRequest& request) {
  OutputStreams& output = call.task.output();
  ring::Positions positions = output.rings().positions(stream);
  uint64_t end = std::min(asked_range(request, positions).end, positions.limit);
  output.rings().discard(stream, end);
  call.task.room_made(stream);
  wire::ReadReply reply = empty_reply(stream);
  reply.offset = end;
  set_positions(reply, output.rings().positions(stream));
  return reply;
}

}  // namespace

Result<wire::ReadReply> handle(const Call& call, const wire::ReadRequest& request) {
  if (request.stream.number == 0) return wrong_stream("\"stdout\", \"stderr\" or \"data\"");
  auto stream = static_cast<StreamId>(request.stream.number);
  if (request.peek && request.discard)
    return wire::bad_parameter("discard", "'peek' and 'discard' exclude each other");
  if (request.discard) return discard(call, stream, request);
  OutputStreams& output = call.task.output();
  ring::Positions positions = output.rings().positions(stream);
  Range range = asked_range(request, positions);
  uint64_t begin = std::max(range.offset, positions.start);
  wire::ReadReply reply = empty_reply(stream);
  reply.offset = std::min(begin, range.end);
  reply.missed = reply.offset - range.offset;
  uint64_t end = reply.offset;
  if (begin < range.end) end = read_page(call, stream, begin, range.end - begin, reply);
  bool taken = !request.peek && end <= positions.limit;
  if (taken) output.rings().consume(stream, end);
  set_positions(reply, output.rings().positions(stream));
  if (taken) call.task.room_made(stream);  // after the counters, which are those of this read
  return reply;
}

}  // namespace bgtask::supervisor
