#include "supervisor/clients/wait_conditions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bgtask::supervisor {
namespace {

struct Case {
  std::string name;
  WaitTerms terms;
  WaitFacts facts;
  uint64_t now = 0;
  std::optional<Fired> fired;
};

constexpr wire::WaitEvents kExit{.exit = true};
constexpr wire::WaitEvents kOutput{.output = true};
constexpr wire::WaitEvents kEof{.eof = true};
constexpr wire::WaitEvents kExitOrOutput{.exit = true, .output = true};

std::vector<Case> cases() {
  const auto nothing = std::optional<Fired>();
  return {
      {"exit of a running task", {kExit, 0, {}}, {false, false, 5}, 0, nothing},
      {"exit of a running task, all output at its end", {kExit, 0, {}}, {false, true, 5}, 0, nothing},
      {"exit of an exited task", {kExit, 9, {}}, {true, false, 5}, 0, Fired{"exit", 5}},
      {"output, none at all", {kOutput, 0, {}}, {false, false, 1}, 0, nothing},
      {"output from the beginning", {kOutput, 0, {}}, {false, false, 2}, 0, Fired{"output", 2}},
      {"output from the first cursor", {kOutput, 1, {}}, {false, false, 2}, 0, Fired{"output", 2}},
      {"output beyond the newest", {kOutput, 5, {}}, {true, false, 5}, 0, nothing},
      {"output that can no longer come", {kOutput, 5, {}}, {true, true, 5}, 0, Fired{"eof", 5}},
      {"output at the end of all", {kOutput, 4, {}}, {true, true, 5}, 0, Fired{"output", 5}},
      {"output or exit, no output can come", {kExitOrOutput, 5, {}}, {false, true, 5}, 0, nothing},
      {"output or exit, both", {kExitOrOutput, 4, {}}, {true, true, 5}, 0, Fired{"output", 5}},
      {"output or exit, exited", {kExitOrOutput, 5, {}}, {true, true, 5}, 0, Fired{"exit", 5}},
      {"eof, streams open", {kEof, 0, {}}, {true, false, 5}, 0, nothing},
      {"eof, streams at their end", {kEof, 0, {}}, {false, true, 5}, 0, Fired{"eof", 5}},
      {"timeout not due", {kExit, 3, 100}, {false, false, 5}, 99, nothing},
      {"timeout due gives back the cursor", {kExit, 3, 100}, {false, false, 5}, 100, Fired{"timeout", 3}},
      {"timeout due, but exited", {kExit, 3, 100}, {true, false, 5}, 200, Fired{"exit", 5}},
  };
}

TEST(WaitConditions, FireWhenTheirFactsHold) {
  for (const Case& one : cases()) {
    const auto fired = first_fired(one.terms, one.facts, one.now);
    ASSERT_EQ(fired.has_value(), one.fired.has_value()) << one.name;
    if (!fired) continue;
    EXPECT_EQ(fired->event, one.fired->event) << one.name;
    EXPECT_EQ(fired->next, one.fired->next) << one.name;
  }
}

}  // namespace
}  // namespace bgtask::supervisor
