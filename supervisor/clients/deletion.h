// The end of a task: ends its processes, hands back its output, removes its files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "protocol/io/uv_handles.h"
#include "protocol/wire/messages.h"
#include "supervisor/clients/connection.h"
#include "supervisor/clients/pending_replies.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

class Deletion {
 public:
  /// `removed` is called once, when the task's directory is gone and all requests are answered.
  Deletion(io::Loop& loop, Task& task, std::function<void()> removed)
      : loop_(loop), task_(task), removed_(std::move(removed)) {}

  /// A client's `delete`. One that comes while another is under way shares its outcome.
  void request(Connection& connection, wire::Request envelope, const wire::DeleteRequest& request);
  /// Delete without a client: the supervisor was asked to end by a signal, or its session's leader is gone.
  void begin_unasked(const Actor& actor, const std::string& why);
  bool under_way() const { return phase_ != Phase::kNone; }

  /// The connection has sent everything: the next page of collected output can go.
  void connection_writable(Connection& connection);
  void forget(Connection& connection);

 private:
  enum class Phase { kNone, kStopping, kCollecting, kRemoved };

  void stop(const StopPlan& plan);
  void try_again_later();
  void stopped(const StopResult& result);
  void collect();
  bool send_page(Connection& connection);
  void remove();
  void remove_group(int tries);
  void answer(const Result<Json>& result);

  io::Loop& loop_;
  Task& task_;
  std::function<void()> removed_;
  Phase phase_ = Phase::kNone;
  PendingReplies pending_;
  Connection* collector_ = nullptr;
  bool collecting_ = false;
  bool unasked_ = false;  // begun without a client that could ask again
  uint64_t collect_cursor_ = 0;
  std::optional<ring::OutputPlace> collected_;  // at the cursor
  wire::Receipt receipt_;
  io::Timer retry_;
};

}  // namespace bgtask::supervisor
