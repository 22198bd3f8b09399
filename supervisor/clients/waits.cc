#include "supervisor/clients/waits.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace bgtask::supervisor {
namespace {

constexpr uint32_t kMaxAwaited = 256;  // of one client

bool contains(const Json& list, const char* word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

uint64_t Waits::now() {
  uv_update_time(loop_.get());
  return uv_now(loop_.get());
}

void Waits::add(Connection& connection, wire::Request request) {
  if (connection.awaited() >= kMaxAwaited) {
    return connection.reply(request,
                            fail(ErrorCode::kBusy, "too many requests of this connection wait already"));
  }
  const Json& params = request.params;
  Json events = params.value("for", Json::array({"exit"}));
  Wait wait{&connection,
            wire::Request{},
            contains(events, "exit"),
            contains(events, "output"),
            contains(events, "eof"),
            params.value("status", true),
            params.value("cursor", uint64_t{0}),
            std::nullopt};
  if (params.contains("timeout")) {
    wait.due = now() + static_cast<uint64_t>(std::ceil(params["timeout"].get<double>() * 1000));
  }
  wait.request = std::move(request);
  if (auto fired = outcome(wait, facts_())) return connection.reply(wait.request, result(*fired));
  connection.expect_reply();
  waits_.push_back(std::move(wait));
  arm();
}

Json Waits::result(const Outcome& outcome) const {
  Json result = Json::object();
  result["fired"] = std::string(outcome.fired);
  result["next"] = outcome.next;
  if (outcome.with_status) result["status"] = status_();
  return result;
}

std::optional<Waits::Outcome> Waits::outcome(const Wait& wait, const WaitFacts& facts) const {
  if (wait.output && facts.next > std::max<uint64_t>(wait.cursor, 1))
    return Outcome{"output", facts.next, wait.with_status};
  if (wait.exit && facts.exited) return Outcome{"exit", facts.next, wait.with_status};
  // Waiting for output that can no longer come ends too, unless the end that was also asked for is still to
  // come.
  if ((wait.eof || (wait.output && !wait.exit)) && facts.all_eof)
    return Outcome{"eof", facts.next, wait.with_status};
  if (wait.due && *wait.due <= uv_now(loop_.get())) return Outcome{"timeout", wait.cursor, wait.with_status};
  return std::nullopt;
}

void Waits::check() {
  if (waits_.empty()) return;
  WaitFacts facts = facts_();
  // All who follow a task are told the same, with the state in which it was then.
  std::optional<std::pair<Outcome, wire::EncodedResult>> told;
  for (auto wait = waits_.begin(); wait != waits_.end();) {
    auto fired = outcome(*wait, facts);
    if (!fired) {
      ++wait;
      continue;
    }
    // Out of the list first: sending may end the connection, which then forgets its waits.
    Wait done = std::move(*wait);
    waits_.erase(wait);
    if (!told || told->first != *fired) told.emplace(*fired, wire::EncodedResult(result(*fired)));
    done.connection->reply(done.request, told->second);
    done.connection->reply_given();
    facts = facts_();  // a request that came with the reply's going out may have changed them
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
    if (wait.due && (!next || *wait.due < *next)) next = wait.due;
  }
  if (!next) return timer_.stop();
  uint64_t current = now();
  timer_.start(loop_, *next > current ? *next - current : 0, [this] { check(); });
}

}  // namespace bgtask::supervisor
