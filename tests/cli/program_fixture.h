// Runs the built program in a pool of its own.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace bgtask::cli {

struct ProgramResult {
  int status = -1;  ///< exit status, or 1000 + n when a signal ended it
  std::string out;
  std::string err;
};

/// The environment of the program: BGTASK_POOL and BGTASK_SUPERVISOR besides what is given here.
using Environment = std::vector<std::pair<std::string, std::string>>;

class ProgramTest : public testing::Test {
 protected:
  ProgramTest();
  ~ProgramTest() override;

  /// bgtask with these arguments and this stdin.
  ProgramResult bgtask(const std::vector<std::string>& arguments, const std::string& input = "",
                       const Environment& environment = {}) const;
  /// `bgtask run` with these arguments; the pid it printed.
  std::string run(std::vector<std::string> arguments) const;
  /// `bgtask wait` until the task has ended; its exit status.
  int wait(const std::string& pid) const;

  std::string pool_;
};

}  // namespace bgtask::cli
