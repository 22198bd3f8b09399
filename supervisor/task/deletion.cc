#include "supervisor/task/deletion.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>

#include "supervisor/clients/pages.h"

namespace bgtask::supervisor {
namespace {

constexpr double kDefaultGrace = wire::DeleteRequest{}.grace;
// A process that is still there after so long, and so many looks, is not killable now. On a machine that is
// out of breath the time alone may pass between two looks.
constexpr uint64_t kKillTimeMs = 3'000;
constexpr int kKillRounds = 25;
constexpr uint64_t kMostKillTimeMs = 8'000;  // whoever asked does not wait much longer
constexpr uint64_t kRetryMs = 1'000;
constexpr int kGroupTries = 10;
constexpr uint64_t kTickMs = 20;  // only while deleting: descendants of descendants do not announce their end

}  // namespace

void Deletion::request(Connection& connection, wire::Request envelope, const wire::DeleteRequest& request) {
  if (request.collect && collector_ == nullptr) collector_ = &connection;
  task_.note({connection.peer().uid, connection.peer().pid}, "delete");
  connection.expect_reply();
  askers_.push_back({&connection, std::move(envelope)});
  if (phase_ == Phase::kNone) begin(static_cast<uint64_t>(std::ceil(request.grace * 1000)));
}

void Deletion::begin_unasked(const Actor& actor, const std::string& why) {
  task_.note(actor, why);
  unasked_ = true;
  if (phase_ == Phase::kNone) begin(static_cast<uint64_t>(kDefaultGrace * 1000));
}

// Whoever sent a signal does not send it again.
void Deletion::try_again_later() {
  if (!unasked_) return;
  timer_.start(loop_, kRetryMs, [this] {
    if (phase_ == Phase::kNone) begin(static_cast<uint64_t>(kDefaultGrace * 1000));
  });
}

void Deletion::begin(uint64_t grace_ms) {
  phase_ = Phase::kTerminating;
  uv_update_time(loop_.get());
  deadline_ = uv_now(loop_.get()) + grace_ms;
  killed_.clear();
  task_.give_up_start(Failure{ErrorCode::kBusy, "the task is being deleted", 0, nullptr});
  Look look;
  signalled_ = task_.tree().signal_all(SIGTERM, &look);
  if (signalled_.empty() && !look.complete) {
    phase_ = Phase::kNone;
    answer(fail_errno("the task is not deleted: cannot look at its processes", look.error));
    return try_again_later();
  }
  task_.tree().signal_all(SIGCONT);  // what is stopped could not act on the TERM
  progress();
}

void Deletion::tick(uint64_t milliseconds) {
  timer_.start(loop_, milliseconds, [this] { progress(); });
}

void Deletion::progress() {
  if (phase_ != Phase::kTerminating && phase_ != Phase::kKilling) return;
  Look look;
  std::vector<pid_t> members = task_.tree().members(&look);
  // A process whose parent died while we looked may have come to us behind our back: only two empty looks are
  // believed.
  if (members.empty()) members = task_.tree().members(&look);
  if (members.empty() && look.complete && task_.child_gone()) return stopped();
  uint64_t now = uv_now(loop_.get());
  if (phase_ == Phase::kTerminating) {
    if (now < deadline_) return tick(std::min(kTickMs, deadline_ - now));
    phase_ = Phase::kKilling;
    deadline_ = now + kKillTimeMs;
    rounds_left_ = kKillRounds;
  }
  const bool enough = rounds_left_ <= 0 || now >= deadline_ + kMostKillTimeMs - kKillTimeMs;
  if (now >= deadline_ && enough && !(members.empty() && look.complete))
    return give_up(std::move(members), look);
  kill_round();
  tick(kTickMs);
}

void Deletion::kill_round() {
  --rounds_left_;
  std::set<pid_t> killed = task_.tree().signal_all(SIGKILL);
  killed_.insert(killed.begin(), killed.end());
}

void Deletion::stopped() {
  timer_.stop();
  task_.output().drain();
  task_.settle_end(true);
  phase_ = Phase::kCollecting;
  collect_cursor_ = 0;
  collect();
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
      output.reader().read(collect_cursor_, ring::kAllOutput, piece_bytes(connection.encoding()));
  bool at_end = batch.next == collect_cursor_ || batch.next >= output.reader().end();
  collect_cursor_ = batch.next;
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
  batch.lost[0] = batch.lost[1] = batch.lost[2] = 0;  // what was consumed or dropped before was counted then
  if (!batch.chunks.empty()) {
    connection.send(wire::encode_event(wire::OutputEvent{output_page(batch)}));
  }
  // A stream that was blocked by its full ring may have more in its pipe.
  output.drain();
  return !at_end || output.reader().end() > collect_cursor_;
}

void Deletion::remove() {
  phase_ = Phase::kRemoved;  // before anything is sent, which may bring us here again
  if (Status removed = task_.remove(); !removed) {
    if (task_.files().out_of_sight()) {
      // Nobody could ask again; gc removes what is left once this process is gone.
      answer(fail(std::move(removed).error()));
      return removed_();
    }
    phase_ = Phase::kNone;
    answer(fail(std::move(removed).error()));
    return try_again_later();
  }
  remove_group(kGroupTries);
}

// The group counts a process for a moment longer than we see it.
void Deletion::remove_group(int tries) {
  if (!task_.remove_group() && tries > 0)
    return timer_.start(loop_, kTickMs, [this, tries] { remove_group(tries - 1); });
  answer(wire::encode(receipt()));
  removed_();
}

void Deletion::give_up(std::vector<pid_t> survivors, const Look& look) {
  timer_.stop();
  phase_ = Phase::kNone;
  unasked_ = unasked_ && !look.complete;
  wire::Receipt receipt = this->receipt();
  task_.files().log("delete: processes survived KILL: " + Json(survivors).dump());
  receipt.survivors = std::move(survivors);
  std::string why = look.complete
                        ? "some of its processes did not end"
                        : std::string("not all processes could be looked at: ") + std::strerror(look.error);
  answer(fail(Failure{ErrorCode::kKillIncomplete, "the task is not deleted: " + why + "; try again later",
                      look.error, wire::encode(std::move(receipt))}));
  try_again_later();
}

void Deletion::answer(const Result<Json>& result) {
  collector_ = nullptr;
  std::list<Asker> askers = std::move(askers_);
  askers_.clear();
  for (Asker& asker : askers) {
    asker.connection->reply(asker.envelope, result);
    asker.connection->reply_given();
  }
}

wire::Receipt Deletion::receipt() const {
  const auto exited =
      std::count_if(signalled_.begin(), signalled_.end(), [&](pid_t pid) { return !killed_.contains(pid); });
  return {signalled_.size(), static_cast<uint64_t>(exited), killed_.size(), {}};
}

void Deletion::connection_writable(Connection& connection) {
  if (phase_ == Phase::kCollecting && collector_ == &connection) collect();
}

void Deletion::forget(Connection& connection) {
  askers_.remove_if([&](const Asker& asker) { return asker.connection == &connection; });
  if (collector_ != &connection) return;
  collector_ = nullptr;
  // Whoever was to have the output is gone: the task stays, ended, with what was not handed over yet.
  if (phase_ == Phase::kCollecting && unasked_) return remove();
  if (phase_ == Phase::kCollecting) {
    phase_ = Phase::kNone;
    answer(fail(ErrorCode::kBusy, "the client that collected the output went away; the task is not deleted"));
  }
}

}  // namespace bgtask::supervisor
