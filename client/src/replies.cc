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

const Json& list_in(const Json& document, const char* key) {
  static const Json kEmpty = Json::array();
  const Json* list = member(document, key);
  return list != nullptr && list->is_array() ? *list : kEmpty;
}

double time_in(const Json& document) {
  const Json* time = member(document, "time");
  return time != nullptr && time->is_number() ? time->get<double>() : 0;
}

std::string bytes_in(const Json& document) {
  const Json* data = member(document, "data");
  if (data == nullptr) return {};
  return wire::bytes_of(*data).value_or(std::string());
}

template <class T>
void set_counters(T& result, const Json& reply) {
  result.offset = number_in(reply, "offset");
  result.missed = number_in(reply, "missed");
  result.start = number_in(reply, "start");
  result.consumed = number_in(reply, "consumed");
  result.limit = number_in(reply, "limit");
  result.lost = number_in(reply, "lost");
  result.eof = flag_in(reply, "eof");
}

}  // namespace

std::uint64_t number_in(const Json& document, const char* key) {
  const Json* value = member(document, key);
  if (value == nullptr || !value->is_number_integer()) return 0;
  if (!value->is_number_unsigned() && value->get<std::int64_t>() < 0) return 0;
  return value->get<std::uint64_t>();
}

bool flag_in(const Json& document, const char* key) {
  const Json* value = member(document, key);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::string text_in(const Json& document, const char* key) {
  const Json* value = member(document, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

ReadResult to_read_result(Json reply) {
  ReadResult result;
  set_counters(result, reply);
  const auto data = reply.is_object() ? reply.find("data") : reply.end();
  // Up to a MiB, which need not be copied.
  if (data != reply.end() && data->is_string()) {
    result.data = std::move(data->get_ref<std::string&>());
  } else {
    result.data = bytes_in(reply);
  }
  return result;
}

MessagesResult to_messages_result(const Json& reply) {
  MessagesResult result;
  set_counters(result, reply);
  for (const Json& message : list_in(reply, "messages")) {
    result.messages.push_back({number_in(message, "offset"), time_in(message), bytes_in(message)});
  }
  return result;
}

Output to_output(const Json& reply) {
  Output output;
  for (const Json& chunk : list_in(reply, "chunks")) {
    output.chunks.push_back({.seq = number_in(chunk, "seq"),
                             .time = time_in(chunk),
                             .stream = text_in(chunk, "stream"),
                             .offset = number_in(chunk, "offset"),
                             .data = bytes_in(chunk)});
  }
  output.next = number_in(reply, "next");
  if (const Json* lost = member(reply, "lost")) {
    output.lost = {.out = number_in(*lost, "stdout"),
                   .err = number_in(*lost, "stderr"),
                   .data = number_in(*lost, "data")};
  }
  output.eof = flag_in(reply, "eof");
  return output;
}

WaitResult to_wait_result(const Json& reply) {
  const Json* status = member(reply, "status");
  return {.fired = text_in(reply, "fired"),
          .next = number_in(reply, "next"),
          .status = status != nullptr ? *status : Json()};
}

RemoveReceipt to_receipt(const Json& reply) {
  RemoveReceipt receipt;
  receipt.signalled = number_in(reply, "signalled");
  receipt.exited = number_in(reply, "exited");
  receipt.killed = number_in(reply, "killed");
  for (const Json& pid : list_in(reply, "survivors")) {
    if (pid.is_number_integer()) receipt.survivors.push_back(pid.get<pid_t>());
  }
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

WriteResult to_write_result(const Json& reply) {
  return {.accepted = number_in(reply, "accepted"), .pending = number_in(reply, "pending")};
}

}  // namespace bgtask
