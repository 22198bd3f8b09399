#include "pool/src/supervisor_path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "tests/pool/support.h"

namespace bgtask {
namespace {

std::string with_variable(const std::string& value, const std::function<std::string()>& body) {
  return test::in_child([&] {
    ::setenv("BGTASK_SUPERVISOR", value.c_str(), 1);
    return body();
  });
}

TEST(SupervisorPath, TheVariableComesFirst) {
  EXPECT_EQ(with_variable("/bin/true", [] { return find_supervisor().value_or("nothing"); }), "/bin/true");
}

TEST(SupervisorPath, AWrongVariableIsAnErrorAndNotPassedOver) {
  std::string word = with_variable("/no/such/program", []() -> std::string {
    Result<std::string> found = find_supervisor();
    if (found) return "found " + *found;
    const Failure& failure = found.error();
    bool good = failure.code == ErrorCode::kExecFailed && failure.os_error == ENOENT &&
                failure.data == Json{{"supervisor", "/no/such/program"}} &&
                failure.message.find("BGTASK_SUPERVISOR") != std::string::npos;
    return good ? "" : failure.message;
  });
  EXPECT_EQ(word, "");
}

// A program in a directory of its own: what lies beside it is then ours to choose.
class BesideTheProgram : public testing::Test {
 protected:
  BesideTheProgram() { std::filesystem::copy_file(SAY_SUPERVISOR, dir_.path() / "program"); }

  std::string said(const std::string& path = "/nowhere") const {
    std::string command =
        "cd / && PATH='" + path + "' BGTASK_SUPERVISOR= '" + (dir_.path() / "program").string() + "'";
    std::string output;
    FILE* pipe = ::popen(command.c_str(), "re");
    char buffer[4096];
    while (size_t n = std::fread(buffer, 1, sizeof buffer, pipe))
      output.append(buffer, n);
    ::pclose(pipe);
    return output;
  }
  bool installed_as_configured() const { return said().rfind("cannot start", 0) != 0; }
  /// An installed tree under `prefix`; returns where its supervisor is.
  std::filesystem::path install(const std::filesystem::path& prefix) const {
    const std::filesystem::path supervisor = prefix / "libexec/bgtask/bgtask-supervisor";
    std::filesystem::create_directories(prefix / "bin");
    std::filesystem::create_directories(supervisor.parent_path());
    std::filesystem::copy_file("/bin/true", prefix / "bin/bgtask");
    std::filesystem::copy_file("/bin/true", supervisor);
    return supervisor;
  }
  test::TempDir dir_;
};

TEST_F(BesideTheProgram, ItIsFound) {
  std::filesystem::path supervisor = dir_.path() / "bgtask-supervisor";
  std::filesystem::copy_file("/bin/true", supervisor);
  EXPECT_EQ(said(), supervisor.string() + "\n");
}

TEST_F(BesideTheProgram, ElseTheInstalledOneOrAnErrorNamingBoth) {
  std::string output = said();
  EXPECT_NE(output.find("bgtask/bgtask-supervisor"), std::string::npos) << output;
  bool found = output.rfind("cannot start", 0) == std::string::npos;
  EXPECT_NE(found, output.find(dir_.path().string()) != std::string::npos) << output;
}

TEST_F(BesideTheProgram, ElseInTheTreeOfTheCommandLineOnThePath) {
  if (installed_as_configured()) return;  // which comes first
  const std::filesystem::path supervisor = install(dir_.path() / "prefix");
  const std::string bin = (dir_.path() / "prefix/bin").string();
  EXPECT_EQ(said("/usr/bin:" + bin), supervisor.string() + "\n");
  EXPECT_EQ(said(":relative/bin::" + bin), supervisor.string() + "\n");
  std::filesystem::create_directory(dir_.path() / "links");
  std::filesystem::create_symlink(bin + "/bgtask", dir_.path() / "links/bgtask");
  EXPECT_EQ(said((dir_.path() / "links").string()), supervisor.string() + "\n") << "by a symbolic link";
}

TEST_F(BesideTheProgram, NothingIsLookedForInTheWorkingDirectory) {
  if (installed_as_configured()) return;
  install(dir_.path() / "prefix");
  const std::string relative = (dir_.path() / "prefix/bin").string().substr(1);  // the program runs in "/"
  EXPECT_EQ(said(relative).find("bgtask-supervisor\n"), std::string::npos) << said(relative);
}

}  // namespace
}  // namespace bgtask
