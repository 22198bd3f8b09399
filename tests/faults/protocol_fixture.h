// A task under attack, a well-behaved client that is served meanwhile, and checks of the supervisor
// afterwards.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/sanitizer.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {

using e2e::Encoding;
using e2e::RawClient;

inline constexpr Encoding kEncodings[] = {Encoding::kJson, Encoding::kMsgpack};

class ProtocolFaultTest : public FaultTest {
 protected:
  void SetUp() override;
  void TearDown() override;
  /// The command of the task.
  virtual std::vector<std::string> command() const { return awkward_command({"sleep"}); }

  Task& task() { return *task_; }
  /// The well-behaved client. Its connection lasts as long as the case.
  RawClient& polite() { return *polite_; }
  std::unique_ptr<RawClient> connect(Encoding encoding = Encoding::kJson) const;
  /// Checks that the well-behaved client gets the right replies.
  void expect_served();
  /// Checks that other clients left no connection, descriptor or memory in the supervisor.
  void expect_nothing_left();
  /// Checks that the supervisor's peak memory exceeded its idle memory by at most `mebibytes`.
  void expect_memory_below(int64_t mebibytes);

  static std::string request_text(Encoding encoding, std::string_view method, const Json& params,
                                  const Json& id = 1);
  static std::string encode(Encoding encoding, const Json& document);

 private:
  std::optional<Task> task_;
  std::unique_ptr<RawClient> polite_;
  Json child_;
  Footprint before_;
  int64_t peak_before_ = 0;
};

/// One request of every method, right for a task that runs; those that would end the task or its child are
/// not carried out (`delete`, `kill`) but asked wrongly.
struct Sample {
  std::string method;
  Json params;
};
std::vector<Sample> harmless_requests(Encoding encoding);

}  // namespace bgtask::faults
