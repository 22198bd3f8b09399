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
  EXPECT_EQ(parse_conditions("a=b,c!=d", Comparison::kText).size(), 2u);
  EXPECT_THROW(parse_conditions("a=b,", Comparison::kText), UsageError);
}

TEST(Condition, LabelsCompareAsText) {
  const Json meta = {{"version", "1.10"}, {"tries", 3}, {"ok", true}, {"bytes", Json::binary({0xff, 'a'})}};
  const auto text_holds = [&](const std::string& text) {
    return Condition::parse(text, Comparison::kText).holds_for(meta);
  };
  EXPECT_TRUE(text_holds("version=1.10"));
  EXPECT_FALSE(text_holds("version=1.1"));
  EXPECT_TRUE(text_holds("version!=1.1"));
  EXPECT_TRUE(text_holds("tries=3"));
  EXPECT_FALSE(text_holds("tries=3.0"));
  EXPECT_TRUE(text_holds("ok=true"));
  EXPECT_FALSE(text_holds("ok=1"));
  EXPECT_TRUE(text_holds("bytes=\\xffa")) << "as it is printed";
}

TEST(Condition, NullDiffersFromNothing) {
  const Json status = {{"exit_code", nullptr}};
  EXPECT_FALSE(Condition::parse("exit_code!=0").holds_for(status));
  EXPECT_FALSE(Condition::parse("exit_code=0").holds_for(status));
  EXPECT_TRUE(Condition::parse("exit_code=null").holds_for(status));
  EXPECT_FALSE(Condition::parse("exit_code!=null").holds_for(status));
}

TEST(MetaValueTest, IsJsonWhereNothingIsLostByThat) {
  EXPECT_EQ(parse_value("3"), Json(3));
  EXPECT_EQ(parse_value("-3"), Json(-3));
  EXPECT_EQ(parse_value("0.5"), Json(0.5));
  EXPECT_EQ(parse_value("18446744073709551615"), Json(18446744073709551615u));
  EXPECT_EQ(parse_value("true"), Json(true));
  EXPECT_EQ(parse_value("null"), Json(nullptr));
  EXPECT_EQ(parse_value("[1,2]"), Json({1, 2}));
  EXPECT_EQ(parse_value("{\"a\":1}"), Json({{"a", 1}}));
}

TEST(MetaValueTest, IsTextWhereANumberWouldBePrintedDifferently) {
  for (const char* text :
       {"1.10", "12e4", "1E5", "-0", "0.10", "007", "+5", "123456789012345678901234567890", "1e400",
        "0.1000000000000000055511151231257827", " 3", "3 ", "\"5\"", "", "{broken", "NaN"}) {
    EXPECT_EQ(parse_value(text), Json(text)) << text;
  }
}

TEST(MetaJsonTest, TakesAnyJson) {
  EXPECT_EQ(parse_json_assignment("k=\"5\""), Json({{"k", "5"}}));
  EXPECT_EQ(parse_json_assignment("k=1.10"), Json({{"k", 1.1}}));
  for (const char* text : {"k=text", "k=", "k", "=1"})
    EXPECT_THROW(parse_json_assignment(text), UsageError) << text;
}

TEST(TaskNameTest, CannotBeEmptyOrBeginWithAt) {
  EXPECT_NO_THROW(check_task_name({{"name", "web"}, {"other", ""}}));
  EXPECT_NO_THROW(check_task_name({{"name", nullptr}})) << "removes it";
  for (const Json& meta : {Json{{"name", ""}}, Json{{"name", "@last"}}})
    EXPECT_THROW(check_task_name(meta), UsageError) << meta;
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
  selector.labels = parse_conditions("tries=3", Comparison::kText);
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
