#include "cli/conditions.h"

#include <gtest/gtest.h>

#include "cli/selector.h"
#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

const Json kMeta = {{"team", "web"}, {"tries", 3}, {"ok", true}, {"a.b", "flat"}, {"deep", {{"er", "x"}}}};

bool holds(const std::string& text) {
  return Condition::parse(text).holds_for(kMeta);
}

TEST(Condition, ComparesAsASearchDoes) {
  EXPECT_TRUE(holds("team=web"));
  EXPECT_FALSE(holds("team=db"));
  EXPECT_TRUE(holds("tries=3"));
  EXPECT_TRUE(holds("ok=true"));
  EXPECT_TRUE(holds("ok=1"));
  EXPECT_TRUE(holds("team!=db"));
  EXPECT_TRUE(holds("absent!=x"));
  EXPECT_FALSE(holds("team!=web"));
  EXPECT_TRUE(holds("team"));
  EXPECT_FALSE(holds("absent"));
}

TEST(Condition, FollowsPathsUnlessAMemberHasThatName) {
  EXPECT_TRUE(holds("a.b=flat"));
  EXPECT_TRUE(holds("deep.er=x"));
  EXPECT_FALSE(holds("deep.est"));
}

TEST(Condition, NeedsAKey) {
  for (const char* text : {"", "=x", "!=x"})
    EXPECT_THROW(Condition::parse(text), UsageError) << text;
  EXPECT_EQ(parse_conditions("a=b,c!=d").size(), 2u);
  EXPECT_THROW(parse_conditions("a=b,"), UsageError);
}

TEST(MetaValue, IsJsonWhereItCanOnlyBeThat) {
  EXPECT_EQ(parse_value("3"), Json(3));
  EXPECT_EQ(parse_value("true"), Json(true));
  EXPECT_EQ(parse_value("null"), Json(nullptr));
  EXPECT_EQ(parse_value("[1,2]"), Json({1, 2}));
  EXPECT_EQ(parse_value("{\"a\":1}"), Json({{"a", 1}}));
  EXPECT_EQ(parse_value("007"), Json("007"));
  EXPECT_EQ(parse_value("\"5\""), Json("\"5\""));
  EXPECT_EQ(parse_value(""), Json(""));
  EXPECT_EQ(parse_value("{broken"), Json("{broken"));
}

TEST(MetaAssignment, SplitsAtTheFirstEqualsSign) {
  EXPECT_EQ(parse_assignment("k=a=b"), Json({{"k", "a=b"}}));
  EXPECT_THROW(parse_assignment("k"), UsageError);
  EXPECT_THROW(parse_assignment("=v"), UsageError);
}

TEST(Selector, NarrowsByEverythingGiven) {
  const Json info = {{"pid", 7}, {"meta", kMeta}, {"status", {{"state", "running"}, {"running", true}}}};
  Selector selector;
  EXPECT_TRUE(selector.empty());
  EXPECT_TRUE(selector.admits(info));
  add_states(selector, "paused,running");
  add_where(selector, "status.running=1");
  add_where(selector, "{\"meta\": {\"team\": \"web\"}}");
  selector.labels = parse_conditions("tries=3");
  EXPECT_FALSE(selector.empty());
  EXPECT_TRUE(selector.admits(info));
  add_where(selector, "pid!=7");
  EXPECT_FALSE(selector.admits(info));
}

TEST(Selector, RefusesWhatIsNoStateOrPattern) {
  Selector selector;
  EXPECT_THROW(add_states(selector, "sleeping"), UsageError);
  EXPECT_THROW(add_where(selector, "{broken"), UsageError);
  EXPECT_THROW(add_where(selector, "=1"), UsageError);
}

}  // namespace
}  // namespace bgtask::cli
