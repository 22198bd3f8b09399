// The end of a task: stop its tree, hand back its output, remove its files.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <set>
#include <vector>

#include "protocol/io/uv_handles.h"
#include "protocol/wire/messages.h"
#include "supervisor/clients/connection.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

class Deletion {
 public:
  /// `removed` is called once, when the task's directory is gone and everybody was answered.
  Deletion(io::Loop& loop, Task& task, std::function<void()> removed)
      : loop_(loop), task_(task), removed_(std::move(removed)) {}

  /// A client's `delete`. One that comes while another is under way shares its outcome.
  void request(Connection& connection, wire::Request envelope, const wire::DeleteRequest& request);
  /// Delete without a client: the supervisor was asked to end by a signal, or its session's leader is gone.
  void begin_unasked(const Actor& actor, const std::string& why);
  bool under_way() const { return phase_ != Phase::kNone; }

  /// Something ended: to be called after each reaping.
  void progress();
  /// The connection has sent everything: the next page of collected output can go.
  void connection_writable(Connection& connection);
  void forget(Connection& connection);

 private:
  enum class Phase { kNone, kTerminating, kKilling, kCollecting, kRemoved };
  struct Asker {
    Connection* connection;
    wire::Request envelope;
  };

  void begin(uint64_t grace_ms);
  void try_again_later();
  void kill_round();
  void tick(uint64_t milliseconds);
  void stopped();
  void collect();
  bool send_page(Connection& connection);
  void remove();
  void remove_group(int tries);
  void give_up(std::vector<pid_t> survivors, const Look& look);
  void answer(const Result<Json>& result);
  wire::Receipt receipt() const;

  io::Loop& loop_;
  Task& task_;
  std::function<void()> removed_;
  Phase phase_ = Phase::kNone;
  std::list<Asker> askers_;
  Connection* collector_ = nullptr;
  bool collecting_ = false;
  bool unasked_ = false;  // somebody who cannot be answered wants the task gone
  uint64_t collect_cursor_ = 0;
  std::set<pid_t> signalled_;
  std::set<pid_t> killed_;
  uint64_t deadline_ = 0;  // of the phase, in milliseconds of the loop's clock
  int rounds_left_ = 0;    // of killing, before it may be given up
  io::Timer timer_;
};

}  // namespace bgtask::supervisor
