#include <algorithm>

#include "protocol/wire/methods.h"
#include "supervisor/clients/methods/handlers.h"
#include "supervisor/clients/pages.h"

namespace bgtask::supervisor {
namespace {

struct Range {
  uint64_t offset;
  uint64_t end;  // as asked for; may lie beyond the limit
};

Range asked_range(const Json& params, const ring::Positions& positions) {
  uint64_t offset = params.value("offset", positions.consumed);
  uint64_t count = params.value("count", UINT64_MAX);
  return {offset, count > UINT64_MAX - offset ? UINT64_MAX : offset + count};
}

Json reply_of(uint64_t offset, uint64_t missed, const ring::Positions& positions) {
  return Json{{"offset", offset},         {"missed", missed},
              {"start", positions.start}, {"consumed", positions.consumed},
              {"limit", positions.limit}, {"lost", positions.lost},
              {"eof", positions.eof}};
}

Json no_data(StreamId stream) {
  return stream == StreamId::kData ? Json::array() : wire::binary_value("");
}

const char* data_key(StreamId stream) {
  return stream == StreamId::kData ? "messages" : "data";
}

// Fills in the data of [begin, range.end) as far as a page goes; returns where it ends.
uint64_t read_page(const Call& call, StreamId stream, uint64_t begin, uint64_t count, Json& data) {
  const ring::RingView& view = call.task.output().view(stream);
  if (stream != StreamId::kData) {
    ring::ByteRead read = ring::read_bytes(view, begin, std::min<uint64_t>(count, page_bytes(call.encoding)));
    data = wire::binary_value(read.data);
    return begin + read.data.size();
  }
  ring::MessageRead read = ring::read_messages(
      view, begin, std::min<uint64_t>(count, max_messages(call.encoding)), piece_bytes(call.encoding));
  data = Json::array();
  for (const ring::Message& message : read.messages) {
    data.push_back({{"offset", message.offset},
                    {"time", seconds_of_ns(message.time_ns)},
                    {"data", wire::binary_value(message.data)}});
  }
  return begin + read.messages.size();
}

Result<Json> discard(const Call& call, StreamId stream) {
  OutputStreams& output = call.task.output();
  ring::Positions positions = output.rings().positions(stream);
  uint64_t end = std::min(asked_range(call.params, positions).end, positions.limit);
  output.rings().discard(stream, end);
  call.task.room_made(stream);
  Json reply = reply_of(end, 0, output.rings().positions(stream));
  reply[data_key(stream)] = no_data(stream);
  return reply;
}

}  // namespace

Result<Json> handle_read(const Call& call) {
  int number = *wire::stream_number(call.params.at("stream"));
  if (number == 0) return wrong_stream("\"stdout\", \"stderr\" or \"data\"");
  auto stream = static_cast<StreamId>(number);
  bool peek = call.params.value("peek", false);
  if (call.params.value("discard", false)) {
    if (!peek) return discard(call, stream);
    return fail(Failure{ErrorCode::kBadArgument, "'peek' and 'discard' exclude each other", 0,
                        Json{{"parameter", "discard"}}});
  }
  OutputStreams& output = call.task.output();
  ring::Positions positions = output.rings().positions(stream);
  Range range = asked_range(call.params, positions);
  uint64_t begin = std::max(range.offset, positions.start);
  uint64_t missed = std::min(begin, range.end) - range.offset;
  Json data = no_data(stream);
  uint64_t end = std::min(begin, range.end);
  if (begin < range.end) end = read_page(call, stream, begin, range.end - begin, data);
  bool taken = !peek && end <= positions.limit;
  if (taken) output.rings().consume(stream, end);
  Json reply = reply_of(std::min(begin, range.end), missed, output.rings().positions(stream));
  reply[data_key(stream)] = std::move(data);
  if (taken) call.task.room_made(stream);  // after the counters, which are those of this read
  return reply;
}

}  // namespace bgtask::supervisor
