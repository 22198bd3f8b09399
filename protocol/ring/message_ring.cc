#include "protocol/ring/message_ring.h"

#include <algorithm>
#include <utility>

#include "protocol/ring/counters.h"

namespace bgtask::ring {
namespace {

uint64_t size_with_frame(uint64_t length) {
  return sizeof(MessageFrame) + (length + 7) / 8 * 8;
}

}  // namespace

uint64_t MessageRing::capacity_for(uint64_t wished) {
  const uint64_t least = std::max(wished, size_with_frame(kMaxMessage));
  return (least + kPage - 1) / kPage * kPage;
}

MessageRing::MessageRing(Storage storage, Geometry geometry)
    : storage_(std::move(storage)), geometry_(geometry) {
  geometry_.capacity = storage_.capacity();
  resume();
}

MessageFrame MessageRing::frame_at(uint64_t position) const {
  MessageFrame frame;
  storage_.read(position, &frame, sizeof frame);
  return frame;
}

// Position of message `to`, given that message `from` begins at `position` and the last one ends at or before
// `end`; nothing if a frame on the way is invalid.
std::optional<uint64_t> MessageRing::walk(uint64_t position, uint64_t from, uint64_t to, uint64_t end) const {
  for (; from < to; ++from) {
    if (end - position < sizeof(MessageFrame)) return std::nullopt;
    const MessageFrame frame = frame_at(position);
    if (frame.number != from || frame.length > kMaxMessage) return std::nullopt;
    const uint64_t size = size_with_frame(frame.length);
    if (end - position < size) return std::nullopt;
    position += size;
  }
  return position;
}

// A writer publishes drops before it overwrites them, so after a kill start is intact and the unfinished
// write lies beyond limit.
void MessageRing::resume() {
  Header& header = storage_.header();
  Counters counters = load(header);
  const auto consumed =
      walk(counters.start_position, counters.start, counters.consumed, counters.limit_position);
  const auto limit =
      consumed ? walk(*consumed, counters.consumed, counters.limit, counters.limit_position) : std::nullopt;
  if (limit == counters.limit_position) {
    consumed_position_ = *consumed;
  } else {
    counters.drop_to(counters.limit);
    consumed_position_ = counters.start_position = counters.limit_position;
    publish(header, counters);
  }
  end_write(header, counters.limit_position);
}

std::optional<MessageRing::Located> MessageRing::locate(uint64_t number) const {
  const Counters counters = load(storage_.header());
  if (number < counters.start || number >= counters.limit) return std::nullopt;
  const auto position = walk(counters.start_position, counters.start, number, counters.limit_position);
  if (!position) return std::nullopt;
  const MessageFrame frame = frame_at(*position);
  return Located{*position, frame.time_ns, frame.length};
}

bool MessageRing::has_room(size_t length) const {
  const uint64_t unconsumed = load(storage_.header()).limit_position - consumed_position_;
  return length <= kMaxMessage && unconsumed + size_with_frame(length) <= capacity();
}

MessageRing::Appended MessageRing::append(std::span<const std::byte> message, uint64_t time_ns) {
  Header& header = storage_.header();
  Counters counters = load(header);
  const Appended refused{false, counters.limit, counters.limit_position};
  const uint64_t size = size_with_frame(message.size());
  if (message.size() > kMaxMessage || size > capacity()) return refused;
  const bool block = geometry_.overflow == Overflow::kBlock;
  if (block && !has_room(message.size())) return refused;
  const bool kept = make_room(size);
  if (!kept && block) return refused;

  counters = load(header);
  const Appended appended{true, counters.limit, counters.limit_position};
  counters.limit += 1;
  if (kept) {
    announce_write(header, appended.position + size);
    const MessageFrame frame{appended.number, time_ns, static_cast<uint32_t>(message.size()), 0};
    storage_.write(appended.position, &frame, sizeof frame);
    storage_.write(appended.position + sizeof frame, message.data(), message.size());
    counters.limit_position += size;
  } else {
    // make_room has dropped every other message.
    counters.drop_to(counters.limit);
  }
  publish(header, counters);
  return appended;
}

// Drops the messages in the way of `need` bytes at limit, and more if the file system is full. False if even
// an empty ring (with kBlock, one without its consumed part) finds no space.
bool MessageRing::make_room(uint64_t need) {
  const uint64_t limit_position = load(storage_.header()).limit_position;
  const uint64_t end = limit_position + need;
  const uint64_t may_go = geometry_.overflow == Overflow::kBlock ? consumed_position_ : limit_position;
  if (end > capacity() && !drop_until(end - capacity(), may_go)) return false;
  while (storage_.try_reserve(limit_position, end) != 0) {
    const uint64_t start = load(storage_.header()).start_position;
    if (start >= may_go) return false;
    const uint64_t step = std::clamp<uint64_t>((may_go - start) / 4, kPage, kReserveChunk);
    drop_until(std::min(start + step, may_go), may_go);
    storage_.release_now(load(storage_.header()).start_position);
  }
  return true;
}

// Drops whole messages until none below `start_position` is left. Published before they are overwritten, so
// that `start_position` is always the beginning of an intact frame.
bool MessageRing::drop_until(uint64_t start_position, uint64_t may_go) {
  Counters counters = load(storage_.header());
  if (start_position <= counters.start_position) return true;
  while (counters.start_position < start_position && counters.start_position < may_go) {
    counters.start_position += size_with_frame(frame_at(counters.start_position).length);
    counters.drop_to(counters.start + 1);
  }
  consumed_position_ = std::max(consumed_position_, counters.start_position);
  publish(storage_.header(), counters);
  return counters.start_position >= start_position;
}

void MessageRing::consume(uint64_t end) {
  const Counters counters = load(storage_.header());
  const uint64_t consumed = std::max(counters.consumed, std::min(end, counters.limit));
  take_up_to(consumed, consumed - std::min(consumed, geometry_.retain));
}

void MessageRing::discard(uint64_t end) {
  const Counters counters = load(storage_.header());
  end = std::min(end, counters.limit);
  take_up_to(std::max(counters.consumed, end), end);
}

void MessageRing::take_up_to(uint64_t consumed, uint64_t start) {
  Counters counters = load(storage_.header());
  start = std::max(start, counters.start);
  if (consumed == counters.consumed && start == counters.start) return;
  for (; counters.consumed < consumed; ++counters.consumed) {
    consumed_position_ += size_with_frame(frame_at(consumed_position_).length);
  }
  for (; counters.start < start; ++counters.start) {
    counters.start_position += size_with_frame(frame_at(counters.start_position).length);
  }
  publish(storage_.header(), counters);
  storage_.release_below(counters.start_position);
}

void MessageRing::set_eof(bool eof) {
  publish_end(storage_.header(), eof, positions().error);
}
void MessageRing::set_error(int os_error) {
  publish_end(storage_.header(), positions().eof, os_error);
}
void MessageRing::set_gap() {
  publish_gap(storage_.header());
}

void MessageRing::begin_at(uint64_t limit, uint64_t lost) {
  const uint64_t position = load(storage_.header()).limit_position;
  consumed_position_ = position;
  publish(storage_.header(), {limit, limit, limit, std::min(lost, limit), position, position});
  storage_.release_now(position);
}

Positions MessageRing::positions() const {
  return positions_of(storage_.header());
}
uint64_t MessageRing::capacity() const {
  return storage_.capacity();
}

}  // namespace bgtask::ring
