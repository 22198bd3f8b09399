#include "supervisor/clients/waits.h"

#include <cmath>
#include <utility>

namespace bgtask::supervisor {
namespace {}  // namespace

uint64_t Waits::now() {
  uv_update_time(loop_.get());
  return uv_now(loop_.get());
}

void Waits::add(Connection& connection, wire::Request envelope, const wire::WaitRequest& request) {
  if (connection.awaited() >= Connection::kMaxAwaited) {
    return connection.reply(envelope,
                            fail(ErrorCode::kBusy, "too many requests of this connection wait already"));
  }
  const uint64_t current = now();
  WaitTerms terms{request.events, request.cursor, std::nullopt};
  if (request.timeout) terms.due = current + static_cast<uint64_t>(std::ceil(*request.timeout * 1000));
  if (auto fired = first_fired(terms, facts_(), current)) {
    wire::EncodedResult result = encoded(*fired, request.status);
    return connection.reply(envelope, result);
  }
  connection.expect_reply();
  waits_.push_back({&connection, std::move(envelope), terms, request.status});
  arm();
}

wire::EncodedResult Waits::encoded(const Fired& fired, bool with_status) const {
  wire::WaitReply reply{std::string(fired.event), fired.next, std::nullopt};
  if (with_status) reply.status = status_();
  return wire::EncodedResult(wire::encode(std::move(reply)));
}

void Waits::check() {
  if (waits_.empty()) return;
  WaitFacts facts = facts_();
  // Waits that fire alike share one encoded reply.
  std::optional<Told> told;
  for (auto wait = waits_.begin(); wait != waits_.end();) {
    auto fired = first_fired(wait->terms, facts, uv_now(loop_.get()));
    if (!fired) {
      ++wait;
      continue;
    }
    // Removed first: sending may close the connection, which then drops its waits.
    Wait done = std::move(*wait);
    waits_.erase(wait);
    if (!told || told->fired != *fired || told->with_status != done.with_status)
      told.emplace(Told{*fired, done.with_status, encoded(*fired, done.with_status)});
    done.connection->reply(done.envelope, told->result);
    done.connection->reply_given();
    facts = facts_();  // sending may have carried out another request
    wait = waits_.begin();
  }
  arm();
}

void Waits::forget(const Connection& connection) {
  waits_.remove_if([&](const Wait& wait) { return wait.connection == &connection; });
}

void Waits::arm() {
  std::optional<uint64_t> next;
  for (const Wait& wait : waits_) {
    if (wait.terms.due && (!next || *wait.terms.due < *next)) next = wait.terms.due;
  }
  if (!next) return timer_.stop();
  uint64_t current = now();
  timer_.start(loop_, *next > current ? *next - current : 0, [this] { check(); });
}

}  // namespace bgtask::supervisor
