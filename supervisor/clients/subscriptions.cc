#include "supervisor/clients/subscriptions.h"

#include <cstring>

#include "supervisor/clients/pages.h"

namespace bgtask::supervisor {
namespace {

// Returns whether the cursor moved.
bool send_output(Connection& connection, Subscription& subscription, Task& task) {
  ring::OutputBatch batch = task.output().reader().read(
      subscription.cursor, subscription.streams, piece_bytes(connection.encoding()), subscription.place);
  bool progress = batch.next != subscription.cursor &&
                  !ring::has_reached(subscription.cursor, task.output().reader().end());
  subscription.cursor = batch.next;
  subscription.place = batch.place;
  if (batch.empty()) return progress;
  connection.send(wire::encode_event(wire::OutputEvent{output_page(batch)}));
  return true;
}

// Output that comes later is not for a client that has half-closed.
bool is_over(const Subscription& subscription) {
  return subscription.end && ring::has_reached(subscription.cursor, *subscription.end);
}

wire::StreamEvent stream_event(StreamId stream, Task& task) {
  const ring::Positions positions = task.output().rings().positions(stream);
  wire::StreamEvent event{wire::Stream{static_cast<int>(stream)}, positions.eof, std::nullopt};
  event.gap = positions.gap;
  if (positions.error != 0) event.error = ::strerrorname_np(positions.error);
  return event;
}

void send_marks(Connection& connection, Subscription& subscription, Task& task) {
  if (subscription.meta_due) {
    subscription.meta_due = false;
    connection.send(wire::encode_event(wire::MetaEvent{task.meta()}));
  }
  for (StreamId stream : kOutputStreams) {
    uint32_t bit = 1u << static_cast<uint32_t>(stream);
    if ((subscription.ended_streams & bit) == 0) continue;
    subscription.ended_streams &= ~bit;
    connection.send(wire::encode_event(stream_event(stream, task)));
  }
  if (subscription.exit_at &&
      (!subscription.output || ring::has_reached(subscription.cursor, *subscription.exit_at))) {
    subscription.exit_at.reset();
    connection.send(wire::encode_event(wire::ExitEvent{task.status(), task.runs()}));
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

Subscription make_subscription(const wire::SubscribeRequest& request, const Task& task, uint64_t now_cursor) {
  Subscription subscription;
  subscription.output = request.events.output;
  subscription.exit = request.events.exit;
  subscription.meta = request.events.meta;
  subscription.stream = request.events.stream;
  subscription.cursor = request.cursor.value_or(now_cursor);
  subscription.streams = request.streams.bits;
  // Earlier events are sent too.
  if (subscription.exit && task.exited()) subscription.exit_at = now_cursor;
  for (StreamId stream : kOutputStreams) {
    if (subscription.stream && task.stream_info(static_cast<int>(stream))["eof"] == true)
      subscription.ended_streams |= 1u << static_cast<uint32_t>(stream);
  }
  return subscription;
}

}  // namespace bgtask::supervisor
