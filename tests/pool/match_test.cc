#include <bgtask/task_pool.h>
#include <gtest/gtest.h>

#include "pool/src/match.h"

namespace bgtask {
namespace {

struct Case {
  const char* pattern;
  const char* document;
  bool expected;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.pattern << " against " << c.document;
}

class Match : public testing::TestWithParam<Case> {};

TEST_P(Match, FollowsTheRules) {
  const Case& c = GetParam();
  EXPECT_EQ(matches(Json::parse(c.pattern), Json::parse(c.document)), c.expected);
}

INSTANTIATE_TEST_SUITE_P(
    Objects, Match,
    testing::Values(
        Case{"{}", "{}", true}, Case{"{}", R"({"a": 1})", true}, Case{"{}", "[]", false},
        Case{"{}", "1", false}, Case{"{}", "null", false}, Case{R"({"a": 1})", R"({"a": 1, "b": 2})", true},
        Case{R"({"a": 1, "b": 2})", R"({"a": 1})", false}, Case{R"({"a": 1})", R"({"b": 1})", false},
        Case{R"({"a": null})", R"({})", false}, Case{R"({"a": null})", R"({"a": null})", true},
        Case{R"({"a": {"b": {"c": "x"}}})", R"({"a": {"b": {"c": "x", "d": 1}}})", true},
        Case{R"({"a": {"b": {"c": "x"}}})", R"({"a": {"b": {"c": "y"}}})", false},
        Case{R"({"a": {"b": 1}})", R"({"a": 1})", false}, Case{R"({"a": {"b": 1}})", R"({"a": [1]})", false},
        Case{R"({"a": {}})", R"({"a": {"b": 1}})", true}, Case{R"({"a": {}})", R"({"a": null})", false},
        Case{R"({"": 1})", R"({"": 1})", true},
        Case{R"({"status": {"running": 1}})", R"({"status": {"running": true}})", true}));

INSTANTIATE_TEST_SUITE_P(Arrays, Match,
                         testing::Values(Case{"[]", "[]", true}, Case{"[]", "[1]", false},
                                         Case{"[1]", "[]", false}, Case{"[1, 2]", "[1, 2]", true},
                                         Case{"[1, 2]", "[2, 1]", false}, Case{"[1]", "[1, 2]", false},
                                         Case{R"(["1", true])", "[1, 1]", true},
                                         Case{R"([{"a": 1}])", R"([{"a": 1, "b": 2}])", true},
                                         Case{R"([{"a": 1}])", R"([{"b": 2}])", false},
                                         Case{"[[]]", "[[]]", true}, Case{"[1]", "1", false},
                                         Case{"1", "[1]", false}, Case{"[]", "{}", false},
                                         Case{R"(["a"])", R"({"0": "a"})", false}));

INSTANTIATE_TEST_SUITE_P(
    Scalars, Match,
    testing::Values(Case{"1", "1", true}, Case{"1", "2", false}, Case{"1", "1.0", true},
                    Case{"1.0", "1", true}, Case{"-1", "-1.0", true}, Case{"1.5", "1.5", true},
                    Case{"1.5", R"("1.5")", true}, Case{"1", R"("1")", true}, Case{R"("1")", "1", true},
                    Case{R"("1")", "1.0", true}, Case{R"("1.0")", "1", false}, Case{R"("01")", "1", false},
                    Case{R"("-7")", "-7", true},
                    Case{"18446744073709551615", R"("18446744073709551615")", true},
                    Case{"9007199254740993", "9007199254740993", true}, Case{"true", "true", true},
                    Case{"true", "false", false}, Case{"true", "1", true}, Case{"1", "true", true},
                    Case{"true", R"("1")", true}, Case{"false", "0", true}, Case{"false", R"("0")", true},
                    Case{"true", R"("true")", false}, Case{"false", R"("")", false}, Case{"true", "2", false},
                    Case{"null", "null", true}, Case{"null", "0", false}, Case{"null", "false", false},
                    Case{"null", R"("")", false}, Case{"null", R"("null")", false},
                    Case{R"("null")", "null", false}, Case{R"("")", R"("")", true},
                    Case{R"("a")", R"("a")", true}, Case{R"("a")", R"("A")", false},
                    Case{R"("a")", "{}", false}, Case{"0", "[]", false}, Case{"0", "{}", false}));

TEST(MatchBytes, EqualTextWithTheSameBytes) {
  Json bytes = Json::binary({'a', 'b'});
  EXPECT_TRUE(matches(Json("ab"), bytes));
  EXPECT_TRUE(matches(bytes, Json("ab")));
  EXPECT_TRUE(matches(bytes, bytes));
  EXPECT_FALSE(matches(Json("abc"), bytes));
}

TEST(MentionsStreams, OnlyAtTheTop) {
  EXPECT_TRUE(mentions_streams({{"streams", Json::object()}}));
  EXPECT_FALSE(mentions_streams({{"meta", {{"streams", 1}}}}));
  EXPECT_FALSE(mentions_streams(Json::array({"streams"})));
  EXPECT_FALSE(mentions_streams(nullptr));
}

}  // namespace
}  // namespace bgtask
