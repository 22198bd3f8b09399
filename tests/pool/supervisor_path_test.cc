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

  std::string said() const {
    std::string command = "cd / && BGTASK_SUPERVISOR= '" + (dir_.path() / "program").string() + "'";
    std::string output;
    FILE* pipe = ::popen(command.c_str(), "re");
    char buffer[4096];
    while (size_t n = std::fread(buffer, 1, sizeof buffer, pipe))
      output.append(buffer, n);
    ::pclose(pipe);
    return output;
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

}  // namespace
}  // namespace bgtask
