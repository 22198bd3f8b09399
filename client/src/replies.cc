#include "client/src/replies.h"

#include <optional>
#include <utility>

#include "protocol/wire/codec.h"

namespace bgtask {
namespace {

const Json* member(const Json& document, const char* key) {
  if (!document.is_object()) return nullptr;
  const auto found = document.find(key);
  return found != document.end() ? &*found : nullptr;
}

OutputLoss loss_of(const wire::Lost& lost) {
  return {.out = lost.out, .err = lost.err, .data = lost.data};
}

template <class T>
void set_counters(T& result, const wire::ReadReply& reply) {
  result.offset = reply.offset;
  result.missed = reply.missed;
  result.start = reply.start;
  result.consumed = reply.consumed;
  result.limit = reply.limit;
  result.lost = reply.lost;
  result.eof = reply.eof;
  result.taken = reply.taken;
  result.gap = reply.gap;
}

}  // namespace

std::uint64_t number_in(const Json& document, const char* key) {
  const Json* value = member(document, key);
  if (value == nullptr || !value->is_number_integer()) return 0;
  if (!value->is_number_unsigned() && value->get<std::int64_t>() < 0) return 0;
  return value->get<std::uint64_t>();
}

std::string text_in(const Json& document, const char* key) {
  const Json* value = member(document, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

ReadResult to_read_result(wire::ReadReply reply) {
  ReadResult result;
  set_counters(result, reply);
  if (reply.data) result.data = std::move(*reply.data).take();
  return result;
}

MessagesResult to_messages_result(wire::ReadReply reply) {
  MessagesResult result;
  set_counters(result, reply);
  if (!reply.messages) return result;
  result.messages.reserve(reply.messages->size());
  for (wire::StoredMessage& message : *reply.messages)
    result.messages.push_back({message.offset, message.time, std::move(message.data).take()});
  return result;
}

Output to_output(wire::OutputPage page) {
  Output output;
  output.chunks.reserve(page.chunks.size());
  for (wire::Chunk& chunk : page.chunks) {
    output.chunks.push_back({.seq = chunk.seq,
                             .time = chunk.time.value_or(0),
                             .stream = std::string(wire::stream_name(chunk.stream.number)),
                             .offset = chunk.offset,
                             .data = std::move(chunk.data).take()});
  }
  output.next = page.next;
  output.lost = loss_of(page.lost);
  output.taken = loss_of(page.taken);
  return output;
}

WaitResult to_wait_result(wire::WaitReply reply) {
  return {.fired = std::move(reply.fired),
          .next = reply.next,
          .status = reply.status ? std::move(*reply.status) : Json()};
}

StopReceipt to_stop_receipt(wire::Receipt reply) {
  StopReceipt receipt;
  receipt.signalled = reply.signalled;
  receipt.exited = reply.exited;
  receipt.killed = reply.killed;
  receipt.survivors = std::move(reply.survivors);
  return receipt;
}

void show_text(Json& document) {
  if (document.is_binary()) {
    document = wire::text_value(wire::raw_bytes(document));
  } else if (document.is_structured()) {
    for (Json& member : document)
      show_text(member);
  }
}

WriteResult to_write_result(const wire::WriteReply& reply) {
  return {.accepted = reply.accepted, .pending = reply.pending};
}

}  // namespace bgtask
