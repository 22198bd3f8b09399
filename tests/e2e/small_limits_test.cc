// Limits of the caller that a supervisor cannot work under are errors of the start; limits that it can work
// under are the command's, not its own.
#include <sys/resource.h>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

constexpr uint64_t kKiB = 1024, kMiB = 1024 * 1024;
constexpr uint64_t kPage = 4 * kKiB;
constexpr uint64_t kRandomised = 8 * kKiB;  // x86_64: arch_align_stack()

class SmallLimitsTest : public E2eTest {
 protected:
  struct Outcome {
    std::string error;  // said by the command line; "" if the task was started
    pid_t pid = 0;
  };
  /// Starts `bgtask run` under a limit in the syntax of prlimit(1).
  Outcome run_under(const std::string& limit, std::vector<std::string> command,
                    const ProgramOptions& options = {}) {
    std::vector<std::string> args = {"/usr/bin/prlimit", limit, BGTASK_PROGRAM, "run", "--"};
    args.insert(args.end(), command.begin(), command.end());
    const ProgramResult result = run_program(args, options);
    if (result.status != 0) return {"status " + std::to_string(result.status) + ": " + result.err};
    return {"", std::atoi(result.out.c_str())};
  }
  /// The smallest stack limit, in pages, under which the program starts with every random offset.
  uint64_t least_stack_of_the_program(const ProgramOptions& options) {
    uint64_t size = 4 * kPage;
    while (run_program({"/usr/bin/prlimit", "--stack=" + std::to_string(size), BGTASK_PROGRAM, "--version"},
                       options)
               .status != 0)
      size += kPage;
    return size + kRandomised + kPage;  // a page more for the arguments of a run
  }
  /// A started task answers and can be restarted.
  void expect_answers_and_restarts(pid_t pid) {
    Task task(pid, pool().path());
    EXPECT_EQ(task.call("ping"), "pong");
    EXPECT_EQ(wait_exit(task)["exit_code"], 0);
    EXPECT_EQ(task.stream("stdout").read().data, "hello\n");
    RawClient client(socket_of(task));
    EXPECT_EQ(client.result("apply_meta", {{"meta", {{"text", std::string(50'000, 'x')}}}}).size(), 1u);
    EXPECT_TRUE(task.restart());
    EXPECT_EQ(wait_exit(task)["exit_code"], 0);
    task.remove();
  }
};

TEST_F(SmallLimitsTest, OfAddressSpaceAndDataAreATypedErrorOrATaskThatWorks) {
  for (const char* name : {"as", "data"}) {
    bool enough = false, too_little = false;
    for (const uint64_t size : {2 * kMiB, 4 * kMiB, 8 * kMiB, 12 * kMiB, 16 * kMiB, 20 * kMiB, 24 * kMiB,
                                28 * kMiB, 32 * kMiB, 48 * kMiB, 64 * kMiB, 128 * kMiB}) {
      SCOPED_TRACE(std::string(name) + " " + std::to_string(size));
      const Outcome outcome =
          run_under(std::string("--") + name + "=" + std::to_string(size), {"/bin/echo", "hello"});
      if (outcome.error.empty()) {
        enough = true;
        expect_answers_and_restarts(outcome.pid);
        continue;
      }
      EXPECT_FALSE(enough) << "with less it worked: " << outcome.error;
      const bool named =
          outcome.error.find(name == std::string("as") ? "RLIMIT_AS" : "RLIMIT_DATA") != std::string::npos;
      too_little = too_little || named;
      EXPECT_EQ(names_in(pool().path()), std::vector<std::string>()) << outcome.error;
    }
    EXPECT_TRUE(enough);
    EXPECT_TRUE(too_little) << "never named as the reason";
  }
}

// Arguments, environment and a random offset of up to 8 KiB lie on the stack of a new program. The kernel
// kills a program that they leave no room before its first line, so the promise starts at the size where the
// program does.
TEST_F(SmallLimitsTest, SmallStackGivesTypedErrorOrWorkingTask) {
  for (const size_t environment : {size_t{0}, size_t{100'000}}) {
    const ProgramOptions options{.env = {{"PADDING", std::string(environment, 'x')}}};
    const uint64_t least = least_stack_of_the_program(options);
    std::vector<uint64_t> sizes = {least, least + kPage, least + 2 * kPage, least + 3 * kPage,
                                   least + 4 * kPage};
    for (const uint64_t size : {64 * kKiB, 128 * kKiB, 256 * kKiB, 1 * kMiB})
      if (size > sizes.back()) sizes.push_back(size);
    for (const uint64_t size : sizes) {
      SCOPED_TRACE(std::to_string(size) + " with " + std::to_string(environment) + " bytes of environment");
      const Outcome outcome = run_under("--stack=" + std::to_string(size), {"/bin/echo", "hello"}, options);
      if (outcome.error.empty()) {
        expect_answers_and_restarts(outcome.pid);
        continue;
      }
      EXPECT_LT(size, 256 * kKiB) << outcome.error;
      EXPECT_NE(outcome.error.find("RLIMIT_STACK"), std::string::npos) << outcome.error;
      EXPECT_EQ(names_in(pool().path()), std::vector<std::string>()) << outcome.error;
    }
  }
}

TEST_F(SmallLimitsTest, OfFileSizesAreATypedErrorOrATaskThatWorks) {
  bool enough = false;
  for (const uint64_t size : {uint64_t{0}, 4 * kKiB, 512 * kKiB, 1 * kMiB, 4 * kMiB}) {
    SCOPED_TRACE(size);
    const Outcome outcome = run_under("--fsize=" + std::to_string(size), {"/bin/echo", "hello"});
    if (outcome.error.empty()) {
      enough = true;
      expect_answers_and_restarts(outcome.pid);
      continue;
    }
    EXPECT_FALSE(enough) << outcome.error;
    EXPECT_NE(outcome.error.find("RLIMIT_FSIZE"), std::string::npos) << outcome.error;
    EXPECT_EQ(names_in(pool().path()), std::vector<std::string>()) << outcome.error;
  }
  EXPECT_TRUE(enough);
}

// The soft limit may be raised up to the hard one: the supervisor does so for itself.
TEST_F(SmallLimitsTest, ThatAreSoftBindTheCommandOnly) {
  const std::string limits =
      "prlimit --as=20000000: --data=18000000: --nofile=40: --fsize=4096: --cpu=77: --stack=65536: ";
  const std::string show = "ulimit -v; ulimit -d; ulimit -n; ulimit -f; ulimit -t; ulimit -s";
  const ProgramResult result =
      run_program({"/bin/sh", "-c",
                   "exec " + limits + std::string(BGTASK_PROGRAM) + " run -- /bin/sh -c '" + show + "'"});
  ASSERT_EQ(result.status, 0) << result.err;
  Task task(std::atoi(result.out.c_str()), pool().path());
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.stream("stdout").read().data, "19531\n17578\n40\n8\n77\n64\n");
  EXPECT_TRUE(task.restart());
  wait_exit(task);
  EXPECT_EQ(task.stream("stdout").read().data, "19531\n17578\n40\n8\n77\n64\n");
}

}  // namespace
}  // namespace bgtask::e2e
