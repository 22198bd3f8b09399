// A task, its clients and what the supervisor is told from outside, tied together.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "protocol/io/unique_fd.h"
#include "protocol/io/uv_handles.h"
#include "protocol/wire/message.h"
#include "protocol/wire/messages.h"
#include "supervisor/clients/deletion.h"
#include "supervisor/clients/restarts.h"
#include "supervisor/clients/server.h"
#include "supervisor/clients/stop_requests.h"
#include "supervisor/clients/waits.h"
#include "supervisor/streams/output_forwarder.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

class Supervisor {
 public:
  Supervisor(io::Loop& loop, Task& task);

  /// By endpoint.
  using Listening = std::array<io::UniqueFd, std::size(kEndpoints)>;
  /// `signals`: a signalfd; `leader`: a pidfd whose end means delete, or none.
  Status start(Listening listening, io::UniqueFd signals, io::UniqueFd leader);
  /// What the process is to exit with, once the task is deleted.
  int exit_status() const;

 private:
  void on_signals();
  void put_back();
  void receive(Connection& connection, wire::Request envelope);
  void dispatch(Connection& connection, wire::Request envelope, const wire::AnyRequest& request);
  template <class Request>
  void serve(Connection& connection, wire::Request envelope, const Request& request);
  void serve(Connection& connection, wire::Request envelope, const wire::DeleteRequest& request);
  void serve(Connection& connection, wire::Request envelope, const wire::RestartRequest& request);
  void serve(Connection& connection, wire::Request envelope, const wire::StopRequest& request);
  void serve(Connection& connection, wire::Request envelope, const wire::WaitRequest& request);
  void serve(Connection& connection, wire::Request envelope, const wire::SubscribeRequest& request);
  void serve(Connection& connection, wire::Request envelope, const wire::UnsubscribeRequest& request);
  void something_happened();
  void finish();
  void begin_in_place();
  void end_with_command();
  bool everything_said() const { return server_.clients() == 0 && (!forwarder_ || forwarder_->drained()); }
  uint64_t next_cursor() { return task_.output().reader().end(); }

  io::Loop& loop_;
  Task& task_;
  Server server_;
  Waits waits_;
  Restarts restarts_;
  StopRequests stops_;
  Deletion deletion_;
  io::UniqueFd signals_;
  io::Poll signals_poll_;
  io::UniqueFd leader_;
  io::Poll leader_poll_;
  io::Timer put_back_again_;
  int put_back_failures_ = 0;
  std::unique_ptr<OutputForwarder> forwarder_;  // none unless asked for in place
  io::Timer command_ended_;
  io::Timer farewell_;
  bool finished_ = false;
};

}  // namespace bgtask::supervisor
