#include "cli/task_order.h"

#include <gtest/gtest.h>

#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

const Json kInfo = {{"pid", 7},
                    {"meta", {{"name", "web"}, {"rank", "b"}}},
                    {"started_at", 1000},
                    {"ended_at", 1060},
                    {"command", {"sleep", "1"}},
                    {"status", {{"state", "exited"}, {"exit_code", 3}, {"signal", nullptr}}}};

TEST(TaskOrderTest, TakesItsValueFromTheColumnOrThePath) {
  const ProcessUsage live = {.processes = 1, .cpu_seconds = 2.5, .resident = 4096};
  const struct {
    const char* key;
    SortValue value;
  } cases[] = {{"pid", 7.0},           {"name", "web"},       {"state", "exited"},
               {"age", 100.0},         {"ended", 40.0},       {"exit", 3.0},
               {"run", 60.0},          {"cpu", 2.5},          {"mem", 4096.0},
               {"command", "sleep 1"}, {"meta.rank", "b"},    {"-meta.rank", "b"},
               {"meta.other", {}},     {"status.signal", {}}, {"status.exit_code", 3.0}};
  for (const auto& one : cases)
    EXPECT_EQ(TaskOrder(one.key).value(kInfo, live, 1100), one.value) << one.key;
  EXPECT_THROW(TaskOrder(""), UsageError);
  EXPECT_THROW(TaskOrder("-"), UsageError);
}

TEST(SortsBeforeTest, PutsNumbersBeforeTextsAndWhatIsMissingLast) {
  EXPECT_TRUE(sorts_before(2.0, 10.0, false));
  EXPECT_TRUE(sorts_before(10.0, 2.0, true));
  EXPECT_TRUE(sorts_before(10.0, "2", false));
  EXPECT_TRUE(sorts_before("a", "b", false));
  for (const bool reverse : {false, true}) {
    EXPECT_TRUE(sorts_before(1.0, {}, reverse));
    EXPECT_FALSE(sorts_before({}, 1.0, reverse));
    EXPECT_FALSE(sorts_before({}, {}, reverse));
  }
}

}  // namespace
}  // namespace bgtask::cli
