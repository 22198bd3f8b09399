#include "supervisor/clients/wait_conditions.h"

#include <algorithm>

#include "protocol/ring/output_cursor.h"

namespace bgtask::supervisor {
namespace {

std::optional<Fired> output(const WaitTerms& terms, const WaitFacts& facts, uint64_t) {
  constexpr uint64_t kFirstCursor = 1;  // 0 is the beginning too
  const bool reached = ring::has_reached(std::max(terms.cursor, kFirstCursor), facts.next);
  if (!terms.events.output || reached) return std::nullopt;
  return Fired{"output", facts.next};
}

std::optional<Fired> exit(const WaitTerms& terms, const WaitFacts& facts, uint64_t) {
  if (!terms.events.exit || !facts.exited) return std::nullopt;
  return Fired{"exit", facts.next};
}

// Also ends a wait for output when no more can come, unless the exit that was asked for too is still to come.
std::optional<Fired> eof(const WaitTerms& terms, const WaitFacts& facts, uint64_t) {
  const bool asked = terms.events.eof || (terms.events.output && !terms.events.exit);
  if (!asked || !facts.all_eof) return std::nullopt;
  return Fired{"eof", facts.next};
}

std::optional<Fired> timeout(const WaitTerms& terms, const WaitFacts&, uint64_t now) {
  if (!terms.due || *terms.due > now) return std::nullopt;
  return Fired{"timeout", terms.cursor};
}

constexpr WaitCondition kConditions[] = {output, exit, eof, timeout};  // the first that holds is told

}  // namespace

std::optional<Fired> first_fired(const WaitTerms& terms, const WaitFacts& facts, uint64_t now) {
  for (WaitCondition condition : kConditions) {
    if (auto fired = condition(terms, facts, now)) return fired;
  }
  return std::nullopt;
}

}  // namespace bgtask::supervisor
