// A blocking connection to one supervisor: a ClientSession over a socket, with deadlines.
#pragma once

#include <bgtask/json.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client/src/deadline.h"
#include "client/src/session.h"
#include "client/src/task_directory.h"
#include "protocol/io/unique_fd.h"
#include "protocol/wire/messages.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Whether nobody will read what is written to `fd`: it is a pipe or socket whose other end is closed, or a
/// terminal that has hung up. Not so for -1 and descriptors that are not open.
bool has_hung_up(int fd);

class Connection {
 public:
  /// Takes the `params` of an event that came before the reply; a failure ends the call with it.
  using EventHandler = std::function<Status(Json params)>;

  enum class State {
    kOpen,       ///< goes on
    kClosed,     ///< the supervisor closed it before it had answered
    kRefused,    ///< the supervisor refused the connection or the request as such, and did nothing
    kAbandoned,  ///< we gave it up: no answer in time, or nonsense
  };

  /// lost: the task's lock is free; unresponsive: it is held, but nobody accepts before the deadline;
  /// impostor: who accepts is neither the task's owner nor root.
  static Result<std::unique_ptr<Connection>> open(const TaskDirectory& task, Deadline deadline);

  /// Sends a request and waits for its reply. Look at state() afterwards. Replies to requests that were
  /// given up, and events where `on_event` is empty, are passed over. `params` are as before afterwards: they
  /// may be long, and are not copied.
  Result<Json> call(std::string_view method, Json& params, Deadline deadline,
                    const EventHandler& on_event = {});

  /// The two halves of a `write`, so that several can be on the way: sends one, whose number answer() then
  /// takes, in the same order. The bytes are sent as they lie. Look at state() after either.
  Result<std::int64_t> send_write(const wire::WriteRequest& request, std::string_view data,
                                  Deadline deadline);
  Result<Json> answer(std::int64_t id, Deadline deadline);

  /// From now on calls that wait end when `fd` has hung up: then the connection is abandoned. -1: none.
  void give_up_on_hangup_of(int fd) { hangup_of_ = fd; }

  State state() const { return state_; }
  /// Whether the other end has closed (asked before a call, so that one may not fail for an old connection's
  /// sake).
  bool hung_up() const;
  /// Waits until the supervisor's process is gone; false if it is not by the deadline, or if that cannot be
  /// told.
  bool wait_for_exit(Deadline deadline) const;

 private:
  Connection(io::UniqueFd socket, io::UniqueFd supervisor);
  Result<Json> exchange(std::int64_t id, Deadline deadline, const EventHandler& on_event);
  void send_some();
  void receive_some(Deadline deadline);
  bool readable(Deadline deadline);
  void limit_receiving(Deadline deadline);
  std::optional<Result<Json>> take_reply(std::int64_t id, const EventHandler& on_event);

  io::UniqueFd socket_;
  io::UniqueFd supervisor_;  // pidfd; none where the kernel refused one
  ClientSession session_;
  int receive_limit_ms_ = -1;
  int hangup_of_ = -1;
  bool at_end_ = false;  // the peer will send nothing more
  State state_ = State::kOpen;
};

}  // namespace bgtask
