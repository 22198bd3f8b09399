// One request of every kind, for cases that make each of them fail in every way.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {

struct RequestKind {
  std::string name;
  std::string method;
  Json params = Json::object();
  /// State of the task before the request: running, or ended.
  bool needs_ended = false;
  /// The request changes the task for good, so that each try needs a new task.
  bool needs_fresh = false;
  /// Checks after success and after failure; may be empty.
  std::function<void(Task&)> succeeded = {}, failed = {};
};

/// Every method of the table with valid parameters. The task comes from kind_task().
std::vector<RequestKind> request_kinds();

/// A task for a request: `awkward puppet` that has said "before", or one that has ended with 3.
class RequestTest : public FaultTest {
 protected:
  Task task_for(const RequestKind& kind, const TaskPool& in) const;
  /// Number of failed checks so far: a failing kind is skipped, the others are tried.
  static int failed_checks();
  /// Sends the request on a connection of its own. The reply; null if the connection was closed instead.
  static Json ask(e2e::RawClient& client, const RequestKind& kind);
  /// A reply is a result or names one of the words of the contract.
  static void expect_typed(const Json& reply);
  /// Whether a request to delete was carried out; the supervisor has ended then.
  bool is_deleted(Task& task, const Json& reply) const;
  /// Checks that the task answers and that its child obeys commands.
  void expect_works(Task& task, const RequestKind& kind, const Json& reply) const;
  /// Deletes a task, also one that a request of kind delete has deleted already.
  void end(Task& task) const;
};

}  // namespace bgtask::faults
