// A task under attack, a polite client that is served all the while, and what must hold of its supervisor
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
  /// A client of the task that does nothing wrong. Its connection lasts as long as the case.
  RawClient& polite() { return *polite_; }
  std::unique_ptr<RawClient> connect(Encoding encoding = Encoding::kJson) const;
  /// The polite client's requests get the right replies.
  void expect_served();
  /// Nothing of other clients is left in the supervisor: no connection, no descriptor, no memory.
  void expect_nothing_left();
  /// The supervisor has never taken more than `mebibytes` beyond what it takes at rest.
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
