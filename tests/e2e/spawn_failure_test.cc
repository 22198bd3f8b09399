// spawn is all or nothing: a failure names what failed and why, and leaves nothing.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

struct Failing {
  std::string name;
  std::function<SpawnOptions(const std::filesystem::path& base)> options;
  int os_error;
  std::string named;  ///< must occur in the error's text
  std::string code;
};

class SpawnFailureTest : public E2eTest, public testing::WithParamInterface<Failing> {};

TEST_P(SpawnFailureTest, IsATypedErrorAndNothingIsLeft) {
  write_whole(base() / "plain-file", "#!/bin/sh\nexit 0\n");
  chmod((base() / "plain-file").c_str(), 0644);
  write_whole(base() / "no-program", "neither ELF nor script\n");
  chmod((base() / "no-program").c_str(), 0755);
  write_whole(base() / "no-interpreter", "#!/nonexistent/interpreter\n");
  chmod((base() / "no-interpreter").c_str(), 0755);
  const Failing& failing = GetParam();
  const size_t fds = open_fd_count();
  for (int i = 0; i < 5; ++i) {
    const Error error = error_of([&] { spawn(failing.options(base())); });
    EXPECT_EQ(error.os_error(), failing.os_error) << error.what();
    EXPECT_TRUE(failing.code.empty() || error.code() == failing.code) << error.code();
    EXPECT_NE(std::string(error.what()).find(failing.named), std::string::npos) << error.what();
    EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
    EXPECT_TRUE(pool().search(Json::object()).empty());
  }
  EXPECT_EQ(open_fd_count(), fds);
  EXPECT_TRUE(eventually([this] { return own_processes().empty(); }));
}

std::vector<std::string> huge_arguments() {
  std::vector<std::string> args(30, std::string(104'858, 'a'));
  args.insert(args.begin(), "/bin/true");
  return args;
}

INSTANTIATE_TEST_SUITE_P(
    All, SpawnFailureTest,
    testing::Values(
        Failing{"MissingProgram", [](auto&) { return SpawnOptions{.exec = {"/nonexistent/program"}}; },
                ENOENT, "/nonexistent/program", "exec_failed"},
        Failing{"MissingInPath", [](auto&) { return SpawnOptions{.exec = {"no-such-program-anywhere"}}; },
                ENOENT, "no-such-program-anywhere", "exec_failed"},
        Failing{"Directory", [](auto& base) { return SpawnOptions{.exec = {base.string()}}; }, EACCES,
                "bgtask-e2e", "exec_failed"},
        Failing{"NotExecutable",
                [](auto& base) { return SpawnOptions{.exec = {(base / "plain-file").string()}}; }, EACCES,
                "plain-file", "exec_failed"},
        Failing{"NoProgramFormat",
                [](auto& base) { return SpawnOptions{.exec = {(base / "no-program").string()}}; }, ENOEXEC,
                "no-program", "exec_failed"},
        Failing{"NoInterpreter",
                [](auto& base) { return SpawnOptions{.exec = {(base / "no-interpreter").string()}}; }, ENOENT,
                "no-interpreter", "exec_failed"},
        Failing{"MissingCwd",
                [](auto&) { return SpawnOptions{.exec = {"/bin/true"}, .cwd = "/nonexistent/cwd"}; }, ENOENT,
                "/nonexistent/cwd", ""},
        Failing{"CwdIsAFile",
                [](auto& base) {
                  return SpawnOptions{.exec = {"/bin/true"}, .cwd = (base / "plain-file").string()};
                },
                ENOTDIR, "plain-file", ""},
        Failing{"ThreeMebibytesOfArguments", [](auto&) { return SpawnOptions{.exec = huge_arguments()}; },
                E2BIG, "/bin/true", "exec_failed"},
        Failing{"OneHugeArgument",
                [](auto&) {
                  return SpawnOptions{.exec = {"/bin/true", std::string(3 << 20, 'a')}};
                },
                E2BIG, "/bin/true", "exec_failed"}),
    [](const auto& test) { return test.param.name; });

using BadSpawnOptionsTest = E2eTest;

TEST_F(BadSpawnOptionsTest, AreRefusedByName) {
  const auto refused = [this](const SpawnOptions& options, const std::string& name) {
    const Error error = error_of([&] { spawn(options); });
    EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
    return error;
  };
  EXPECT_EQ(refused({}, "exec").code(), "bad_argument");
  EXPECT_EQ(refused({.exec = {"/bin/true"}, .cmd = "true"}, "cmd").code(), "bad_argument");
  EXPECT_EQ(refused({.exec = {"/bin/true"}, .limits = {{"no-such-limit", 1}}}, "no-such-limit").code(),
            "bad_argument");
  EXPECT_FALSE(refused({.exec = {"/bin/true"}, .user = "no-such-user"}, "no-such-user").code().empty());
  EXPECT_EQ(refused({.exec = {"/bin/true"}, .meta = Json::array()}, "meta").code(), "bad_argument");
  EXPECT_EQ(refused({.exec = {"/bin/true"}, .meta = {{"big", std::string(300 * 1024, 'm')}}}, "meta").code(),
            "bad_argument");
}

TEST_F(BadSpawnOptionsTest, TheCommandLineTellsMissingFromForbidden) {
  const ProgramResult missing = bgtask({"run", "--", "/nonexistent/program"});
  EXPECT_EQ(missing.status, 127);
  EXPECT_EQ(missing.out, "");
  EXPECT_NE(missing.err.find("/nonexistent/program"), std::string::npos);
  const ProgramResult forbidden = bgtask({"run", "--", "/etc"});
  EXPECT_EQ(forbidden.status, 126);
  EXPECT_EQ(forbidden.out, "");
  EXPECT_EQ(bgtask({"run", "--cwd", "/nonexistent/cwd", "--", "/bin/true"}).status, 125);
  EXPECT_EQ(bgtask({"run", "--user", "no-such-user", "--", "/bin/true"}).status, 125);
  EXPECT_EQ(bgtask({"no-such-verb"}).status, 125);
  EXPECT_EQ(bgtask({"delete"}).status, 125) << "a destructive verb without a selector";
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

TEST_F(BadSpawnOptionsTest, AFailedSpawnLeavesNeighboursAlone) {
  Task neighbour = awkward({"sleep"});
  error_of([&] { spawn({.exec = {"/nonexistent/program"}}); });
  EXPECT_EQ(neighbour.info(true)["status"]["state"], "running");
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(neighbour.pid())});
}

TEST_F(BadSpawnOptionsTest, AMissingSupervisorIsSaid) {
  PoolOptions options = pool_options();
  options.supervisor_command = {"/nonexistent/bgtask-supervisor"};
  const TaskPool lame(base() / "pool", options);
  const Error error = error_of([&] { lame.spawn({.exec = {"/bin/true"}}); });
  EXPECT_NE(std::string(error.what()).find("/nonexistent/bgtask-supervisor"), std::string::npos)
      << error.what();
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

}  // namespace
}  // namespace bgtask::e2e
