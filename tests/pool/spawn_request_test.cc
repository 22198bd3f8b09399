#include "pool/src/spawn_request.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdlib>

#include "protocol/wire/limits.h"
#include "tests/pool/support.h"

namespace bgtask {
namespace {

using std::string_literals::operator""s;

constexpr const char* kPool = "/some/pool";

SpawnOptions plain() {
  SpawnOptions options;
  options.exec = {"true"};
  return options;
}

Failure refused(const SpawnOptions& options) {
  Result<wire::LaunchSpec> spec = spawn_request(options, kPool);
  return spec ? Failure{ErrorCode::kExists, "it was taken", 0, nullptr} : spec.error();
}

wire::LaunchSpec taken(const SpawnOptions& options) {
  Result<wire::LaunchSpec> spec = spawn_request(options, kPool);
  EXPECT_TRUE(spec) << spec.error().message;
  return spec ? *spec : wire::LaunchSpec();
}

struct Case {
  const char* option;  // how the message begins
  std::function<void(SpawnOptions&)> change;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.option;
}

class BadOption : public testing::TestWithParam<Case> {};

TEST_P(BadOption, IsNamed) {
  SpawnOptions options = plain();
  GetParam().change(options);
  Failure failure = refused(options);
  EXPECT_EQ(failure.code, ErrorCode::kBadArgument);
  EXPECT_EQ(failure.message.rfind(GetParam().option, 0), 0u) << failure.message;
}

Json nested(int levels) {
  Json value = Json::object();
  for (int i = 1; i < levels; ++i)
    value = {{"a", value}};
  return value;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadOption,
    testing::Values(Case{"exec", [](SpawnOptions& o) { o.exec = {}; }},
                    Case{"cmd", [](SpawnOptions& o) { o.cmd = "true"; }},
                    Case{"exec", [](SpawnOptions& o) { o.exec = {""}; }},
                    Case{"exec", [](SpawnOptions& o) { o.exec = {"a\0b"s}; }},
                    Case{"exec",
                         [](SpawnOptions& o) {
                           o.exec = {"a", "\0"s};
                         }},
                    Case{"cmd", [](SpawnOptions& o) { o.exec = {}, o.cmd = "a\0"s; }},
                    Case{"env",
                         [](SpawnOptions& o) {
                           o.env = {{"", "x"}};
                         }},
                    Case{"env",
                         [](SpawnOptions& o) {
                           o.env = {{"a=b", "x"}};
                         }},
                    Case{"env",
                         [](SpawnOptions& o) {
                           o.env = {{"a\0"s, "x"}};
                         }},
                    Case{"env",
                         [](SpawnOptions& o) {
                           o.env = {{"a", "\0"s}};
                         }},
                    Case{"cwd", [](SpawnOptions& o) { o.cwd = "/\0"s; }},
                    Case{"umask", [](SpawnOptions& o) { o.umask = 01000; }},
                    Case{"umask", [](SpawnOptions& o) { o.umask = static_cast<mode_t>(-1); }},
                    Case{"limits.nofiles",
                         [](SpawnOptions& o) {
                           o.limits = {{"nofiles", 1}};
                         }},
                    Case{"limits.",
                         [](SpawnOptions& o) {
                           o.limits = {{"", 1}};
                         }},
                    Case{"limits.core",
                         [](SpawnOptions& o) {
                           o.limits = {{"core", {2, 1}}};
                         }},
                    Case{"user 'no-such-user-here'", [](SpawnOptions& o) { o.user = "no-such-user-here"; }},
                    Case{"user '4294967295'", [](SpawnOptions& o) { o.user = "4294967295"; }},
                    Case{"user '-1'", [](SpawnOptions& o) { o.user = "-1"; }},
                    Case{"user '4294967296'", [](SpawnOptions& o) { o.user = "4294967296"; }},
                    Case{"user", [](SpawnOptions& o) { o.user = "root\0x"s; }},
                    Case{"nice", [](SpawnOptions& o) { o.nice = 41; }},
                    Case{"nice", [](SpawnOptions& o) { o.nice = std::numeric_limits<int>::min(); }},
                    Case{"meta", [](SpawnOptions& o) { o.meta = "text"; }},
                    Case{"meta", [](SpawnOptions& o) { o.meta = Json::array(); }},
                    Case{"meta", [](SpawnOptions& o) { o.meta = nullptr; }},
                    Case{"meta",
                         [](SpawnOptions& o) {
                           o.meta = {{"a", std::string(wire::kMaxMeta, 'x')}};
                         }},
                    Case{"meta", [](SpawnOptions& o) { o.meta = nested(31); }},
                    Case{"meta", [](SpawnOptions& o) { o.meta = nested(500); }},
                    Case{"buffer", [](SpawnOptions& o) { o.buffer = 0; }},
                    Case{"buffer", [](SpawnOptions& o) { o.buffer = static_cast<std::uint64_t>(-1); }},
                    Case{"retain_output", [](SpawnOptions& o) { o.retain_output = kMaxRing + 1; }},
                    Case{"behavior", [](SpawnOptions& o) { o.behavior = static_cast<Behavior>(7); }},
                    Case{"timeout", [](SpawnOptions& o) { o.timeout = Seconds(0); }},
                    Case{"timeout", [](SpawnOptions& o) { o.timeout = Seconds(-1); }},
                    Case{"timeout", [](SpawnOptions& o) { o.timeout = Seconds(4e9); }},
                    Case{"timeout", [](SpawnOptions& o) { o.timeout = Seconds(std::nan("")); }},
                    Case{"stop_grace", [](SpawnOptions& o) { o.stop_grace = Seconds(-0.1); }},
                    Case{"stop_grace", [](SpawnOptions& o) { o.stop_grace = Seconds(4e9); }},
                    Case{"stop_signal", [](SpawnOptions& o) { o.stop_signal = std::string("NONE"); }},
                    Case{"stop_signal", [](SpawnOptions& o) { o.stop_signal = std::string(); }},
                    Case{"stop_signal", [](SpawnOptions& o) { o.stop_signal = 0; }},
                    Case{"stop_signal", [](SpawnOptions& o) { o.stop_signal = 65; }},
                    Case{"lock_file", [](SpawnOptions& o) { o.lock_file = "/a\0"s; }}));

TEST(SpawnRequest, ArgumentsAreKeptByteForByte) {
  SpawnOptions options;
  options.exec = {"prog", "", " ", "a\nb", "'\"", "\xff\x01", std::string(100'000, 'x')};
  EXPECT_EQ(taken(options).exec, options.exec);
}

TEST(SpawnRequest, ATextIsForTheShell) {
  SpawnOptions options;
  options.cmd = "exit 3; #";
  EXPECT_EQ(taken(options).exec, (std::vector<std::string>{"/bin/sh", "-c", "exit 3; #"}));
}

TEST(SpawnRequest, DefaultsAreTheCallers) {
  wire::LaunchSpec spec = taken(plain());
  EXPECT_EQ(spec.cwd, std::filesystem::current_path().string());
  EXPECT_FALSE(spec.user);
  EXPECT_EQ(spec.nice, 0);
  EXPECT_TRUE(spec.stdin_pipe);
  EXPECT_EQ(spec.meta, Json::object());
  EXPECT_EQ(spec.buffer, 1u << 20);
  EXPECT_EQ(spec.retain, 0u);
  EXPECT_FALSE(spec.overflow_block);
  EXPECT_FALSE(spec.rings_in_memory);
  EXPECT_EQ(spec.behavior, "daemon");
  EXPECT_EQ(spec.lock_file, "");
  EXPECT_FALSE(spec.kill_on_supervisor_death);
  EXPECT_EQ(spec.pool_path, kPool);
  EXPECT_FALSE(spec.adopt);
}

TEST(SpawnRequest, EverythingAskedForArrives) {
  SpawnOptions options = plain();
  options.umask = 0;
  options.limits = {{"nofile", 100}, {"core", {0, ResourceLimit::kUnlimited}}};
  options.nice = 5;
  options.stdin = StdinMode::kNull;
  options.meta = {{"name", "x"}};
  options.buffer = 4096;
  options.retain_output = 77;
  options.overflow = Overflow::kBlock;
  options.rings = Rings::kMemory;
  options.behavior = Behavior::kForeground;
  options.lock_file = "/run/x.lock";
  options.on_supervisor_death = OnSupervisorDeath::kKill;
  options.timeout = Seconds(1.5);
  options.stop_signal = std::string("int");
  options.stop_grace = Seconds(0);
  wire::LaunchSpec spec = taken(options);
  EXPECT_EQ(spec.timeout, 1.5);
  EXPECT_EQ(spec.stop_signal, SIGINT);
  EXPECT_EQ(spec.stop_grace, 0.0);
  EXPECT_EQ(spec.umask, 0u);
  EXPECT_EQ(spec.limits.at("nofile"), std::make_pair(uint64_t{100}, uint64_t{100}));
  EXPECT_EQ(spec.limits.at("core"), std::make_pair(uint64_t{0}, ResourceLimit::kUnlimited));
  EXPECT_EQ(spec.nice, 5);
  EXPECT_FALSE(spec.stdin_pipe);
  EXPECT_EQ(spec.meta, options.meta);
  EXPECT_EQ(spec.buffer, 4096u);
  EXPECT_EQ(spec.retain, 77u);
  EXPECT_TRUE(spec.overflow_block);
  EXPECT_TRUE(spec.rings_in_memory);
  EXPECT_EQ(spec.behavior, "foreground");
  EXPECT_EQ(spec.lock_file, "/run/x.lock");
  EXPECT_TRUE(spec.kill_on_supervisor_death);
}

TEST(SpawnRequest, MetaMayBeAsLargeAndDeepAsSaid) {
  SpawnOptions options = plain();
  options.meta = {{"a", std::string(wire::kMaxMeta - 8, 'x')}};  // 8 for {"a":""}
  EXPECT_EQ(taken(options).meta, options.meta);
  options.meta = nested(30);
  EXPECT_EQ(taken(options).meta, options.meta);
}

bool contains(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

TEST(SpawnRequest, EnvironmentIsTheCallersWithAdditions) {
  std::string word = test::in_child([]() -> std::string {
    ::clearenv();
    ::setenv("KEPT", "a=b", 1);
    ::setenv("CHANGED", "old", 1);
    ::setenv("BGTASK_PID", "1", 1);
    ::setenv("BGTASK_POOL", "/x", 1);
    ::setenv("BGTASK_DATA_FD", "3", 1);
    ::setenv("BGTASK_SUPERVISOR_PID", "1", 1);
    SpawnOptions options = plain();
    options.env = {{"CHANGED", "new"}, {"NEW", ""}};
    std::vector<std::string> env = taken(options).env;
    if (env.size() != 3) return std::to_string(env.size()) + " variables";
    bool all = contains(env, "KEPT=a=b") && contains(env, "CHANGED=new") && contains(env, "NEW=");
    return all ? "" : "something is missing";
  });
  EXPECT_EQ(word, "");
}

TEST(SpawnRequest, EnvironmentCanBeginEmpty) {
  SpawnOptions options = plain();
  options.clear_env = true;
  EXPECT_TRUE(taken(options).env.empty());
  options.env = {{"A", "1"}};
  EXPECT_EQ(taken(options).env, std::vector<std::string>{"A=1"});
}

TEST(SpawnRequest, PathsAreTakenAgainstTheCallersDirectory) {
  test::TempDir dir;
  std::string word = test::in_child([&]() -> std::string {
    std::filesystem::current_path(dir.path());
    SpawnOptions options = plain();
    options.cwd = "sub/../x";
    options.lock_file = "my.lock";
    wire::LaunchSpec spec = taken(options);
    if (spec.cwd != dir.path() / "sub/../x") return spec.cwd;
    if (spec.lock_file != dir.path() / "my.lock") return spec.lock_file;
    std::filesystem::current_path("/");
    return taken(options).cwd == "/sub/../x" ? "" : "wrong at the root";
  });
  EXPECT_EQ(word, "");
}

TEST(SpawnRequest, ADeletedCurrentDirectoryIsACwdError) {
  std::string word = test::in_child([]() -> std::string {
    test::TempDir dir;
    std::filesystem::current_path(dir.path());
    std::filesystem::remove(dir.path());
    Failure failure = refused(plain());
    bool good = failure.code == ErrorCode::kBadArgument && failure.os_error == ENOENT;
    return good && failure.message.rfind("cwd", 0) == 0 ? "" : failure.message;
  });
  EXPECT_EQ(word, "");
}

TEST(SpawnRequest, UmaskIsTheCallersAndStaysIt) {
  std::string word = test::in_child([]() -> std::string {
    ::umask(0137);
    mode_t seen = taken(plain()).umask;
    mode_t after = ::umask(0);
    return seen == 0137 && after == 0137 ? ""
                                         : "seen " + std::to_string(seen) + " after " + std::to_string(after);
  });
  EXPECT_EQ(word, "");
}

TEST(SpawnRequest, UserByNameOrNumberWithGroups) {
  ASSERT_EQ(::geteuid(), 0u);
  SpawnOptions options = plain();
  options.user = "daemon";
  wire::LaunchSpec by_name = taken(options);
  ASSERT_TRUE(by_name.user);
  EXPECT_EQ(by_name.user->name, "daemon");
  EXPECT_NE(by_name.user->uid, 0u);
  EXPECT_TRUE(std::count(by_name.user->groups.begin(), by_name.user->groups.end(), by_name.user->gid));
  options.user = std::to_string(by_name.user->uid);
  wire::LaunchSpec by_number = taken(options);
  ASSERT_TRUE(by_number.user);
  EXPECT_EQ(by_number.user->name, "daemon");
  EXPECT_EQ(by_number.user->gid, by_name.user->gid);
}

TEST(SpawnRequest, AUserByNumberNeedsNoEntryInTheDatabase) {
  SpawnOptions options = plain();
  const struct {
    const char* text;
    wire::UserSpec user;
  } cases[] = {{"42421", {"42421", 42421, 42421, {42421}}},
               {"42421:100", {"42421", 42421, 100, {100}}},
               {"65534:100", {"nobody", 65534, 100, {100}}},
               {"nobody:daemon", {"nobody", 65534, 1, {1}}},
               {"0:0", {"root", 0, 0, {0}}}};
  for (const auto& one : cases) {
    options.user = one.text;
    const wire::LaunchSpec spec = taken(options);
    ASSERT_TRUE(spec.user) << one.text;
    EXPECT_EQ(spec.user->name, one.user.name) << one.text;
    EXPECT_EQ(spec.user->uid, one.user.uid) << one.text;
    EXPECT_EQ(spec.user->gid, one.user.gid) << one.text;
    EXPECT_EQ(spec.user->groups, one.user.groups) << one.text;
  }
}

// The system calls take 2^32-1 for "leave it as it is".
TEST(SpawnRequest, AUserOrGroupThatIsNoneIsRefused) {
  SpawnOptions options = plain();
  for (const char* text : {"4294967295", "4294967296", "-1", "nobody:4294967295", "nobody:", ":100",
                           "nobody:no-such-group-here", "no-such-user-here:100", "1:2:3"}) {
    options.user = text;
    EXPECT_EQ(refused(options).code, ErrorCode::kBadArgument) << text;
  }
}

TEST(SpawnRequest, TheUsersVariablesFollowUnlessGiven) {
  const std::string word = test::in_child([]() -> std::string {
    ::clearenv();
    ::setenv("HOME", "/root", 1);
    ::setenv("USER", "root", 1);
    ::setenv("KEPT", "1", 1);
    SpawnOptions options = plain();
    options.user = "daemon";
    options.env = {{"SHELL", "/bin/zsh"}};
    std::vector<std::string> env = taken(options).env;
    for (const char* entry :
         {"HOME=/usr/sbin", "USER=daemon", "LOGNAME=daemon", "SHELL=/bin/zsh", "KEPT=1"}) {
      if (!contains(env, entry)) return entry;
    }
    if (env.size() != 5) return std::to_string(env.size()) + " variables";
    options.user = "42421";
    options.env = {};
    env = taken(options).env;
    for (const char* entry : {"HOME=/", "USER=42421", "LOGNAME=42421", "SHELL=/bin/sh"}) {
      if (!contains(env, entry)) return entry;
    }
    options.user = "";
    return contains(taken(options).env, "HOME=/root") ? "" : "HOME changed without a user";
  });
  EXPECT_EQ(word, "");
}

TEST(SpawnRequest, AnUnknownUserIsEnoent) {
  SpawnOptions options = plain();
  options.user = "no-such-user-here";
  EXPECT_EQ(refused(options).os_error, ENOENT);
}

TEST(SpawnRequest, OnlyRootRunsAsAnother) {
  std::string word = test::in_child([]() -> std::string {
    test::become(2);  // "bin" on every Debian
    SpawnOptions options = plain();
    options.user = "daemon";
    if (refused(options).code != ErrorCode::kDenied) return "another: " + refused(options).message;
    options.user = "2";
    return taken(options).user ? "oneself is not 'no change'" : "";
  });
  EXPECT_EQ(word, "");
}

}  // namespace
}  // namespace bgtask
