#include <gtest/gtest.h>

#include "cli/command.h"
#include "cli/run_options.h"
#include "cli/similar.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

using Words = std::vector<std::string>;

class CommandLine : public testing::Test {
 protected:
  CommandLine() {
    command_.flag("-f,--flag", "a flag", &flag_);
    command_.option("-n,--name", "NAME", "a value", &name_);
    command_.options("-l,--label", "K=V", "values", &labels_);
    command_.choice("--mode", {"one", "two"}, "a choice", &mode_);
  }

  Command command_{"verb", "Does something."};
  bool flag_ = false;
  std::string name_, mode_;
  Words labels_;
};

TEST_F(CommandLine, TakesOptionsAndPositionalsInAnyOrder) {
  EXPECT_EQ(command_.parse({"a", "-fn", "x", "b", "--label=k=v", "-l", "[x]", "c"}), (Words{"a", "b", "c"}));
  EXPECT_TRUE(flag_);
  EXPECT_EQ(name_, "x");
  EXPECT_EQ(labels_, (Words{"k=v", "[x]"}));
}

TEST_F(CommandLine, TakesTheNextArgumentAsAValueWhateverItLooksLike) {
  EXPECT_EQ(command_.parse({"-n", "--flag", "-l", "--", "-n", ""}), Words{});
  EXPECT_EQ(name_, "");
  EXPECT_EQ(labels_, Words{"--"});
  EXPECT_FALSE(flag_);
}

TEST_F(CommandLine, LeavesPositionalsAsTheyAre) {
  EXPECT_EQ(command_.parse({"", "[a,b]", "-", "--", "-f", "--", "--help"}),
            (Words{"", "[a,b]", "-", "-f", "--", "--help"}));
  EXPECT_FALSE(flag_);
}

TEST_F(CommandLine, StopsAtTheFirstPositionalWhereTold) {
  command_.stop_at_first_positional();
  EXPECT_EQ(command_.parse({"-n", "x", "cmd", "-f", "--help", "--", "-n"}),
            (Words{"cmd", "-f", "--help", "--", "-n"}));
  EXPECT_FALSE(flag_);
  EXPECT_EQ(command_.parse({"--", "-f", "--"}), (Words{"-f", "--"}));
}

TEST_F(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(command_.parse({"--bogus"}), UsageError);
  EXPECT_THROW(command_.parse({"-x"}), UsageError);
  EXPECT_THROW(command_.parse({"-n"}), UsageError);
  EXPECT_THROW(command_.parse({"--mode", "three"}), UsageError);
  EXPECT_THROW(command_.parse({"--help"}), HelpRequested);
}

TEST(Verbs, AreFoundByNameAndAlias) {
  for (const char* name :
       {"run",     "spawn",  "add",  "ls",    "ps",    "list", "info",  "inspect", "show",    "meta",
        "logs",    "follow", "read", "send",  "kill",  "stop", "pause", "resume",  "unpause", "cont",
        "restart", "delete", "rm",   "clean", "prune", "wait", "adopt", "gc",      "emit"}) {
    EXPECT_NE(find_verb(name), nullptr) << name;
  }
  EXPECT_EQ(find_verb("frobnicate"), nullptr);
}

TEST(Verbs, AreSuggestedForTypos) {
  EXPECT_EQ(similar_verb("lgos"), "logs");
  EXPECT_EQ(similar_verb("infoo"), "info");
  EXPECT_EQ(similar_verb("frobnicate"), "");
}

TEST(Verbs, ThatEndOrRemoveAreNeverSuggested) {
  for (const char* typo : {"kil", "stpo", "delte", "claen", "g", "gcc", "rstart", "restrat"})
    EXPECT_EQ(similar_verb(typo), "") << typo;
}

TEST(MostSimilarTest, IsTheNearestWordIfThereIsOne) {
  EXPECT_EQ(edit_distance("web", "wbe"), 1u) << "neighbours that are swapped";
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(most_similar("wbe", {"db", "web", "worker"}), "web");
  EXPECT_EQ(most_similar("web3", {"web1", "web2"}), "") << "equally near";
  EXPECT_EQ(most_similar("web3", {"web1", "web1"}), "web1");
  EXPECT_EQ(most_similar("x", {"a", "bc"}), "") << "nothing in common";
}

TEST(Verbs, AllHaveHelpWithExamples) {
  for (const auto& entry : verbs()) {
    Command command{std::string(entry.name), std::string(entry.summary)};
    const auto verb = entry.make();
    verb->declare(command);
    const std::string help = command.help();
    EXPECT_NE(help.find("Usage: bgtask " + std::string(entry.name) + " [options]"), std::string::npos)
        << help;
    EXPECT_NE(help.find("Examples:\n  bgtask "), std::string::npos) << help;
  }
}

TEST(RunOptions, AreReadAsDocumented) {
  SpawnOptions options;
  add_limit(options, "nofile=4096:8192");
  add_limit(options, "core=unlimited");
  EXPECT_EQ(options.limits.at("nofile").soft, 4096u);
  EXPECT_EQ(options.limits.at("nofile").hard, 8192u);
  EXPECT_EQ(options.limits.at("core").hard, ResourceLimit::kUnlimited);
  EXPECT_THROW(add_limit(options, "nofile"), UsageError);
  add_environment(options, "A=b=c");
  add_environment(options, "BGTASK_TEST_VARIABLE_THAT_IS_NOT_SET");
  EXPECT_EQ(options.env, (std::map<std::string, std::string>{{"A", "b=c"}}));
  EXPECT_EQ(parse_umask("027"), 027u);
  EXPECT_THROW(parse_umask("8"), UsageError);
  EXPECT_EQ(parse_nice("-5"), -5);
  EXPECT_EQ(parse_nice("+5"), 5);
  EXPECT_THROW(parse_nice("high"), UsageError);
}

}  // namespace
}  // namespace bgtask::cli
