#include "client/src/stream_reading.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "client/src/replies.h"
#include "client/src/stream_names.h"
#include "client/src/uncounted_loss.h"
#include "protocol/wire/messages.h"

namespace bgtask {
namespace {

constexpr std::uint64_t kLargestOffset = std::numeric_limits<std::int64_t>::max();

Status check_range(const Range& range) {
  if (range.begin.value_or(0) > kLargestOffset)
    return fail(ErrorCode::kBadArgument, "begin: no offset is that large");
  if (range.end.value_or(0) > kLargestOffset)
    return fail(ErrorCode::kBadArgument, "end: no offset is that large");
  return {};
}

wire::ReadRequest read_request(int stream) {
  return {.stream = {stream}};
}

wire::ReadRequest range_request(int stream, const Range& range, bool peek) {
  wire::ReadRequest request = read_request(stream);
  request.offset = range.begin;
  if (range.begin && range.end) request.count = *range.end > *range.begin ? *range.end - *range.begin : 0;
  request.peek = peek;
  return request;
}

template <class T>
T result_of(wire::ReadReply reply);
template <>
ReadResult result_of(wire::ReadReply reply) {
  return to_read_result(std::move(reply));
}
template <>
MessagesResult result_of(wire::ReadReply reply) {
  return to_messages_result(std::move(reply));
}

template <class T>
Result<T> fetch(TaskCore& task, const wire::ReadRequest& request) {
  Result<wire::ReadReply> reply = task.ask(request);
  if (!reply) return fail(std::move(reply).error());
  return result_of<T>(std::move(*reply));
}

std::uint64_t end_of(const ReadResult& result) {
  return result.offset + result.data.size();
}
std::uint64_t end_of(const MessagesResult& result) {
  return result.messages.empty() ? result.offset : result.messages.back().offset + 1;
}
std::uint64_t bytes_in(const ReadResult& result) {
  return result.data.size();
}
std::uint64_t bytes_in(const MessagesResult& result) {
  std::uint64_t bytes = 0;
  for (const DataMessage& message : result.messages)
    bytes += message.data.size();
  return bytes;
}
bool is_empty(const ReadResult& page) {
  return page.data.empty();
}
bool is_empty(const MessagesResult& page) {
  return page.messages.empty();
}

template <class T>
void take_counters(T& result, const T& page) {
  result.start = page.start;
  result.consumed = page.consumed;
  result.limit = page.limit;
  result.lost = page.lost;
  result.eof = page.eof;
}

/// Bytes have one offset, so a page that does not follow on makes everything before it missed.
void append(ReadResult& result, ReadResult page) {
  if (page.offset != end_of(result)) {
    result.missed += page.offset - result.offset;
    result.offset = page.offset;
    result.data.clear();
  }
  result.data += page.data;
  take_counters(result, page);
}

void append(MessagesResult& result, MessagesResult page) {
  result.missed += page.missed;
  result.taken += page.taken;
  if (result.messages.empty()) result.offset = page.offset;
  std::move(page.messages.begin(), page.messages.end(), std::back_inserter(result.messages));
  take_counters(result, page);
}

/// A range by its offsets, page by page up to what the limit was at the first. A failure after the first page
/// does not take away what has been read, and consumed, already: the next call will report it.
template <class T>
Result<T> fetch_range(TaskCore& task, int stream, Range range, bool peek) {
  Result<T> first = fetch<T>(task, range_request(stream, range, peek));
  if (!first) return first;
  T result = std::move(*first);
  const std::uint64_t end = std::min(range.end.value_or(kLargestOffset), result.limit);
  std::uint64_t bytes = bytes_in(result);
  for (T* last = &result; !is_empty(*last) && end_of(result) < end && bytes < ring::kMaxRead;) {
    Result<T> page = fetch<T>(task, range_request(stream, {end_of(result), end}, peek));
    if (!page || is_empty(*page) || page->offset < end_of(result)) break;
    bytes += bytes_in(*page);
    append(result, std::move(*page));
  }
  return result;
}

/// The bytes that were lost, and not taken by another reader, between what we have and the page after it.
std::uint64_t lost_between(const ReadResult& result, const ReadResult& page) {
  const std::uint64_t gap = page.offset - end_of(result);
  return page.lost > result.lost ? std::min(gap, page.lost - result.lost) : 0;
}

/// Whether a page that was kept is there; then up to `count` of it.
std::optional<ReadResult> take_held(TaskCore& task, int stream, std::uint64_t count) {
  const auto held = task.held_pages.find(stream);
  if (held == task.held_pages.end()) return std::nullopt;
  ReadResult page = std::move(held->second);
  task.held_pages.erase(held);
  if (page.data.size() <= count) return page;
  ReadResult rest = page;
  rest.data.erase(0, count);
  rest.offset += count;
  rest.missed = rest.taken = 0;
  task.held_pages.insert_or_assign(stream, std::move(rest));
  page.data.resize(count);
  return page;
}

wire::ReadRequest count_request(int stream, std::uint64_t count) {
  wire::ReadRequest request = read_request(stream);
  if (count < kLargestOffset) request.count = count;
  return request;
}

/// What is unconsumed, at most `count` bytes. Each page begins where consuming has come to by then, for
/// another reader may be at work; a page that does not follow on is kept for the next call.
Result<ReadResult> take_unconsumed(TaskCore& task, int stream, std::uint64_t count = kLargestOffset) {
  Result<ReadResult> result = ReadResult();
  if (std::optional<ReadResult> held = take_held(task, stream, count)) {
    result = *std::move(held);
  } else {
    result = fetch<ReadResult>(task, count_request(stream, count));
  }
  if (!result) return result;
  const std::uint64_t end = std::min(result->limit, result->offset + std::min(count, kLargestOffset));
  while (!result->data.empty() && end_of(*result) < end && result->data.size() < ring::kMaxRead) {
    Result<ReadResult> page = fetch<ReadResult>(task, count_request(stream, end - end_of(*result)));
    if (!page || page->data.empty() || page->offset < end_of(*result)) break;
    if (page->offset != end_of(*result)) {
      page->missed += lost_between(*result, *page);
      task.held_pages.insert_or_assign(stream, std::move(*page));
      break;
    }
    append(*result, std::move(*page));
  }
  return result;
}

/// Messages carry their numbers, so nothing need follow on.
Result<MessagesResult> take_unconsumed_messages(TaskCore& task, std::uint64_t count = kLargestOffset) {
  Result<MessagesResult> result = fetch<MessagesResult>(task, count_request(kData, count));
  if (!result) return result;
  const std::uint64_t end = result->limit;
  std::uint64_t bytes = bytes_in(*result);
  while (!result->messages.empty() && end_of(*result) < end && result->size() < count &&
         bytes < ring::kMaxRead) {
    const std::uint64_t more = std::min(end - end_of(*result), count - result->size());
    Result<MessagesResult> page = fetch<MessagesResult>(task, count_request(kData, more));
    if (!page || page->messages.empty() || page->offset < end_of(*result)) break;
    bytes += bytes_in(*page);
    append(*result, std::move(*page));
  }
  return result;
}

bool is_lost(const Failure& failure) {
  return failure.code == ErrorCode::kLost;
}

/// Nothing in the directory and no supervisor: what was in its memory is gone.
Result<ring::RingView> ring_of(TaskCore& task, int stream) {
  const Result<const TaskDirectory*> directory = task.directory();
  if (!directory) return fail(Failure(directory.error()));
  return taskdir::open_ring(**directory, static_cast<ring::StreamId>(stream));
}

/// Where the files are read nobody else says so.
template <class T>
T with_gap(TaskCore& task, T result) {
  const Result<const TaskDirectory*> directory = task.directory();
  result.gap |= !result.eof && directory && ended_unwatched(**directory);
  return result;
}

/// A dead supervisor's ring is not written to: what is read stays unconsumed.
Range from_first_unconsumed(const ring::RingView& ring, std::uint64_t count) {
  const std::uint64_t begin = ring.positions().consumed;
  return {begin, begin + std::min(count, kLargestOffset - std::min(begin, kLargestOffset))};
}

}  // namespace

Result<ReadResult> peek_stream(TaskCore& task, int stream, Range range) {
  if (Status fine = check_range(range); !fine) return fail(std::move(fine).error());
  const Result<ring::RingView> ring = ring_of(task, stream);
  if (ring) return with_gap(task, peek_bytes(*ring, range));
  if (ring.error().code != ErrorCode::kNotFound) return fail(Failure(ring.error()));
  return fetch_range<ReadResult>(task, stream, range, true);
}

Result<ReadResult> read_stream(TaskCore& task, int stream, Range range) {
  if (Status fine = check_range(range); !fine) return fail(std::move(fine).error());
  Result<ReadResult> result =
      range.begin ? fetch_range<ReadResult>(task, stream, range, false) : take_unconsumed(task, stream);
  if (!result && is_lost(result.error())) return peek_stream(task, stream, range);
  return result;
}

Result<ReadResult> discard_stream(TaskCore& task, int stream, std::optional<std::uint64_t> end) {
  if (Status fine = check_range({std::nullopt, end}); !fine) return fail(std::move(fine).error());
  wire::ReadRequest request = read_request(stream);
  request.discard = true;
  if (end) {
    request.offset = 0;
    request.count = *end;
  }
  Result<ReadResult> result = fetch<ReadResult>(task, request);
  if (!result) return result;
  task.held_pages.erase(stream);
  result->missed = result->taken = 0;  // nothing was asked for
  result->data.clear();
  return result;
}

Result<MessagesResult> peek_data(TaskCore& task, Range range) {
  if (Status fine = check_range(range); !fine) return fail(std::move(fine).error());
  const Result<ring::RingView> ring = ring_of(task, kData);
  if (ring) return with_gap(task, peek_messages(*ring, range));
  if (ring.error().code != ErrorCode::kNotFound) return fail(Failure(ring.error()));
  return fetch_range<MessagesResult>(task, kData, range, true);
}

Result<MessagesResult> read_data(TaskCore& task, Range range) {
  if (Status fine = check_range(range); !fine) return fail(std::move(fine).error());
  Result<MessagesResult> result =
      range.begin ? fetch_range<MessagesResult>(task, kData, range, false) : take_unconsumed_messages(task);
  if (!result && is_lost(result.error())) return peek_data(task, range);
  return result;
}

Result<ReadResult> take_stream(TaskCore& task, int stream, std::uint64_t count) {
  Result<ReadResult> result = take_unconsumed(task, stream, count);
  if (result || !is_lost(result.error())) return result;
  const Result<ring::RingView> ring = ring_of(task, stream);
  if (!ring) return result;
  return with_gap(task, peek_bytes(*ring, from_first_unconsumed(*ring, count)));
}

Result<MessagesResult> take_data(TaskCore& task, std::uint64_t count) {
  Result<MessagesResult> result = take_unconsumed_messages(task, count);
  if (result || !is_lost(result.error())) return result;
  const Result<ring::RingView> ring = ring_of(task, kData);
  if (!ring) return result;
  return with_gap(task, peek_messages(*ring, from_first_unconsumed(*ring, count)));
}

Result<Json> stream_info(TaskCore& task, int stream) {
  if (stream != kStdin) {
    const Result<ring::RingView> ring = ring_of(task, stream);
    if (ring) return encode(taskdir::stream_part(*ring));
    if (ring.error().code != ErrorCode::kNotFound) return fail(Failure(ring.error()));
  }
  Result<wire::DocumentReply> live = task.ask(wire::StreamInfoRequest{{stream}});
  if (live) return std::move(live->document);
  if (!is_lost(live.error())) return fail(std::move(live).error());
  const Result<Json> snapshot = task.snapshot();
  if (!snapshot) return fail(Failure(snapshot.error()));
  return taskdir::stream_of(*snapshot, stream);
}

}  // namespace bgtask
