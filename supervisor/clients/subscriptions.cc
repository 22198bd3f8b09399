#include "supervisor/clients/subscriptions.h"

#include <algorithm>
#include <cstring>

#include "protocol/wire/message.h"
#include "protocol/wire/methods.h"
#include "supervisor/clients/pages.h"

namespace bgtask::supervisor {
namespace {

// Whether it came any further.
bool send_output(Connection& connection, Subscription& subscription, Task& task) {
  ring::OutputBatch batch = task.output().reader().read(
      subscription.cursor, subscription.streams, piece_bytes(connection.encoding()), subscription.totals);
  bool progress = batch.next > subscription.cursor && subscription.cursor < task.output().reader().end();
  subscription.cursor = batch.next;
  subscription.totals = batch.totals;
  if (batch.chunks.empty() && batch.lost[0] == 0 && batch.lost[1] == 0 && batch.lost[2] == 0) return progress;
  Json event = output_page(batch);
  event["event"] = "output";
  connection.send(wire::make_event(std::move(event)));
  return true;
}

// Output that comes later is not for a client that has half-closed.
bool is_over(const Subscription& subscription) {
  return subscription.end && subscription.cursor >= *subscription.end;
}

Json stream_event(StreamId stream, const Task& task) {
  Json info = task.stream_info(static_cast<int>(stream));
  return Json{{"event", "stream"},
              {"stream", std::string(wire::stream_name(static_cast<int>(stream)))},
              {"eof", info["eof"]},
              {"error", info["error"]}};
}

void send_marks(Connection& connection, Subscription& subscription, Task& task) {
  if (subscription.meta_due) {
    subscription.meta_due = false;
    connection.send(wire::make_event({{"event", "meta"}, {"meta", task.meta()}}));
  }
  for (StreamId stream : kOutputStreams) {
    uint32_t bit = 1u << static_cast<uint32_t>(stream);
    if ((subscription.ended_streams & bit) == 0) continue;
    subscription.ended_streams &= ~bit;
    connection.send(wire::make_event(stream_event(stream, task)));
  }
  if (subscription.exit_at && (!subscription.output || subscription.cursor >= *subscription.exit_at)) {
    subscription.exit_at.reset();
    connection.send(wire::make_event({{"event", "exit"}, {"status", task.status()}}));
  }
}

}  // namespace

void pump(Connection& connection, Task& task) {
  auto& subscription = connection.subscription();
  if (!subscription || connection.closed()) return;
  if (subscription->ending && !subscription->end) subscription->end = task.output().reader().end();
  bool more = subscription->output;
  while (more && connection.idle() && !connection.closed() && !is_over(*subscription))
    more = send_output(connection, *subscription, task);
  if (connection.idle() && !connection.closed()) send_marks(connection, *subscription, task);
}

uint32_t stream_bits(const Json& params) {
  auto list = params.find("streams");
  if (list == params.end()) return ring::kAllOutput;
  uint32_t bits = 0;
  for (const Json& name : *list)
    bits |= 1u << wire::stream_number(name).value_or(0);
  return bits;
}

Subscription make_subscription(const Json& params, const Task& task, uint64_t now_cursor) {
  const Json& events = params.at("events");
  auto wants = [&](const char* event) {
    return std::find(events.begin(), events.end(), event) != events.end();
  };
  Subscription subscription;
  subscription.output = wants("output");
  subscription.exit = wants("exit");
  subscription.meta = wants("meta");
  subscription.stream = wants("stream");
  subscription.cursor = params.value("cursor", now_cursor);
  subscription.streams = stream_bits(params);
  if (subscription.exit && task.exited())
    subscription.exit_at = now_cursor;  // it happened before; tell it all the same
  return subscription;
}

}  // namespace bgtask::supervisor
