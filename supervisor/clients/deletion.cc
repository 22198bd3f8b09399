#include "supervisor/clients/deletion.h"

#include <optional>
#include <utility>
#include <vector>

#include "supervisor/clients/pages.h"
#include "supervisor/clients/stop_requests.h"

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kRetryMs = 1'000;
constexpr uint64_t kGroupRetryMs = 20;
constexpr int kGroupTries = 10;
constexpr char kNotDeleted[] = "the task is not deleted";

}  // namespace

void Deletion::request(Connection& connection, wire::Request envelope, const wire::DeleteRequest& request) {
  if (request.collect && collector_ == nullptr) collector_ = &connection;
  task_.note({connection.peer().uid, connection.peer().pid}, "delete");
  pending_.add(connection, std::move(envelope));
  stop(stop_plan(task_.spec(), kDeleteGrace, request.grace));
}

void Deletion::begin_unasked(const Actor& actor, const std::string& why) {
  task_.note(actor, why);
  unasked_ = true;
  stop(stop_plan(task_.spec(), kDeleteGrace));
}

// A signal is not repeated by its sender, so the supervisor retries.
void Deletion::try_again_later() {
  if (!unasked_) return;
  retry_.start(loop_, kRetryMs, [this] {
    if (phase_ == Phase::kNone) stop(stop_plan(task_.spec(), kDeleteGrace));
  });
}

void Deletion::stop(const StopPlan& plan) {
  if (phase_ == Phase::kStopping) return task_.stop(plan, kReasonStopped, nullptr);
  if (phase_ != Phase::kNone) return;
  phase_ = Phase::kStopping;
  task_.stop(plan, kReasonStopped, [this](const StopResult& result) { stopped(result); });
}

void Deletion::stopped(const StopResult& result) {
  if (result.kind == StopResult::Kind::kStopped) {
    receipt_ = result.receipt;
    task_.output().drain();
    task_.settle_end(true);
    phase_ = Phase::kCollecting;
    collect_cursor_ = 0;
    collected_.reset();
    return collect();
  }
  phase_ = Phase::kNone;
  const bool all_seen = result.error == 0;
  unasked_ = unasked_ && !all_seen;
  const Failure failure = stop_failure(result, kNotDeleted);
  if (result.kind == StopResult::Kind::kIncomplete)
    task_.files().log("delete: processes survived KILL: " + Json(result.receipt.survivors).dump());
  answer(fail(Failure(failure)));
  try_again_later();
}

void Deletion::collect() {
  if (collecting_) return;  // sending a page may bring us here again
  collecting_ = true;
  bool more = true;
  while (more && collector_ != nullptr && collector_->idle())
    more = send_page(*collector_);
  collecting_ = false;
  if (more && collector_ != nullptr) return;  // goes on when the connection is writable
  if (phase_ == Phase::kCollecting) remove();
}

// The next piece of what nobody had consumed; false when there is no more.
bool Deletion::send_page(Connection& connection) {
  OutputStreams& output = task_.output();
  ring::OutputBatch batch =
      output.reader().read(collect_cursor_, ring::kAllOutput, piece_bytes(connection.encoding()), collected_);
  bool at_end = batch.next == collect_cursor_ || ring::has_reached(batch.next, output.reader().end());
  collect_cursor_ = batch.next;
  collected_ = batch.place;
  std::vector<ring::OutputChunk> unconsumed;
  for (ring::OutputChunk& chunk : batch.chunks) {
    bool message = chunk.stream == StreamId::kData;
    uint64_t consumed = output.rings().positions(chunk.stream).consumed;
    uint64_t end = chunk.offset + (message ? 1 : chunk.data.size());
    if (end <= consumed) continue;
    if (!message && chunk.offset < consumed) {
      chunk.data.erase(0, consumed - chunk.offset);
      chunk.offset = consumed;
    }
    output.rings().consume(chunk.stream, end);
    unconsumed.push_back(std::move(chunk));
  }
  batch.chunks = std::move(unconsumed);
  for (size_t slot = 0; slot < 3; ++slot)
    batch.lost[slot] = batch.taken[slot] = 0;  // counted when it was consumed or dropped
  if (!batch.chunks.empty()) {
    connection.send(wire::encode_event(wire::OutputEvent{output_page(batch)}));
  }
  // A stream that was blocked by its full ring may have more in its pipe.
  output.drain();
  return !at_end || !ring::has_reached(collect_cursor_, output.reader().end());
}

void Deletion::remove() {
  phase_ = Phase::kRemoved;  // before anything is sent, which may bring us here again
  if (Status removed = task_.remove(); !removed) {
    if (task_.files().out_of_sight()) {
      // Nobody could ask again; gc removes the rest once this process is gone.
      answer(fail(std::move(removed).error()));
      return removed_();
    }
    phase_ = Phase::kNone;
    answer(fail(std::move(removed).error()));
    return try_again_later();
  }
  remove_group(kGroupTries);
}

// The kernel counts a process in the group for a moment longer than /proc shows it.
void Deletion::remove_group(int tries) {
  if (!task_.remove_group() && tries > 0)
    return retry_.start(loop_, kGroupRetryMs, [this, tries] { remove_group(tries - 1); });
  answer(wire::encode(receipt_));
  removed_();
}

void Deletion::answer(const Result<Json>& result) {
  collector_ = nullptr;
  pending_.answer(result);
}

void Deletion::connection_writable(Connection& connection) {
  if (phase_ == Phase::kCollecting && collector_ == &connection) collect();
}

void Deletion::forget(Connection& connection) {
  pending_.forget(connection);
  if (collector_ != &connection) return;
  collector_ = nullptr;
  // The client that was to have the output is gone: the task stays, ended, with the output not handed over
  // yet.
  if (phase_ == Phase::kCollecting && unasked_) return remove();
  if (phase_ == Phase::kCollecting) {
    phase_ = Phase::kNone;
    answer(fail(ErrorCode::kBusy, "the client that collected the output went away; the task is not deleted"));
  }
}

}  // namespace bgtask::supervisor
