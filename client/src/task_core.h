// What a Task, its copies and its streams share: where the task is and the connection to it.
#pragma once

#include <bgtask/json.h>
#include <bgtask/stream.h>
#include <bgtask/task.h>
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/src/connection.h"
#include "client/src/deadline.h"
#include "client/src/ring_reading.h"
#include "client/src/task_directory.h"
#include "protocol/wire/messages.h"
#include "protocol/wire/result.h"

namespace bgtask {

class TaskCore {
 public:
  explicit TaskCore(pid_t pid) : pid_(pid) {}
  TaskCore(pid_t pid, std::filesystem::path pool_path) : pid_(pid), pool_path_(std::move(pool_path)) {}

  /// See TaskAccess::make.
  void assume(std::shared_ptr<const PoolDirectory> pool, const TaskDirectory& directory);
  void set_id(pid_t id) noexcept;  ///< of one that was just started

  pid_t pid() const { return pid_; }
  Result<const std::filesystem::path*> pool_path();
  Result<const PoolDirectory*> pool();
  /// Looked up once; from then on it is this directory and no other, whatever becomes of its name.
  Result<const TaskDirectory*> directory();

  /// The same, opened for the caller: it does not stay open here.
  Result<TaskDirectory> open_directory();
  /// The pool of a task that has been looked up, to be shared among many tasks, and the other way round:
  /// `pool` stands for a directory that this task has open as well.
  const std::shared_ptr<const PoolDirectory>& shared_pool() const { return pool_; }
  void share_pool(std::shared_ptr<const PoolDirectory> pool) { pool_ = std::move(pool); }

  void set_timeout(Seconds timeout) { timeout_ = timeout; }
  Seconds timeout() const { return timeout_; }
  Deadline deadline(Seconds more = Seconds::zero()) const { return Deadline::after(timeout_ + more); }

  Status connect(Deadline deadline);
  void disconnect() {
    connection_.reset();
    room_to_follow_ = 0;
  }

  /// Connects where need be. lost: the supervisor is dead or dies meanwhile. Where the supervisor closes the
  /// connection a method that changes nothing is tried once more. A refusal because of too many connections
  /// is tried again until the deadline.
  Result<Json> call(std::string_view method, Json params, Deadline deadline,
                    const Connection::EventHandler& on_event = {});
  Result<Json> call(std::string_view method, Json params) {
    return call(method, std::move(params), deadline());
  }

  /// As call(), with the request and its reply as structs.
  template <class Request>
  Result<typename Request::Reply> ask(Request request, Deadline deadline,
                                      const Connection::EventHandler& on_event = {}) {
    Result<Json> reply =
        call(wire::method_name(Request::kMethod), wire::encode(std::move(request)), deadline, on_event);
    if (!reply) return fail(std::move(reply).error());
    return wire::decode<typename Request::Reply>(std::move(*reply));
  }
  template <class Request>
  Result<typename Request::Reply> ask(Request request) {
    return ask(std::move(request), deadline());
  }

  /// Writes to stdin of which several may be on the way; see Connection. Only after a call() that was
  /// answered, which has made the connection.
  Result<std::int64_t> send_write(const wire::WriteRequest& request, std::string_view data);
  Result<wire::WriteReply> answer(std::int64_t write);
  /// The room in stdin's queue if the last message was a write that was taken whole, on a connection that is
  /// still up: the next one may follow on it. Else 0. Kept by whoever writes, forgotten at the next call().
  std::uint64_t room_to_follow() const;
  void keep_room(std::uint64_t room) { room_to_follow_ = room; }

  /// What is published, without what is nobody's business.
  Result<Json> snapshot();
  /// The same from what a search has read, where this task comes from one; the members named, or all.
  Result<Json> published(const std::vector<std::string>& members);
  /// The info document from the supervisor, or the published one where it is dead.
  Result<Json> fetch_info();

  /// Waits for the end of the supervisor's process and disconnects; false if it still lives.
  bool wait_for_supervisor_exit(Seconds patience);

  std::optional<Json> cached_info;
  std::optional<Snapshot> at_hand;  ///< what the search read that found the task
  /// A page that a consuming read() fetched but could not give, since it did not follow on what it had: the
  /// next one begins with it.
  std::map<int, ReadResult> held_pages;
  ring::LastOutput last_output;  ///< from the files
  /// Calls that wait are given up when the reader of this descriptor has gone; -1: none.
  int until_hangup_of = -1;
  bool knows_brief_waits = true;  ///< false: an older supervisor, which refuses a wait without status
  /// Kept from one look at the output to the next: four files are opened and checked for it.
  std::shared_ptr<const OutputRings> output_rings;

 private:
  Result<TaskDirectory> find();
  Result<TaskDirectory> find_own_task();
  Failure why_closed();
  Failure given_up(Failure failure);

  pid_t pid_;
  std::optional<std::filesystem::path> pool_path_;
  std::shared_ptr<const PoolDirectory> pool_;
  std::optional<std::pair<dev_t, ino_t>> identity_;
  std::optional<TaskDirectory> directory_;
  Seconds timeout_{10};
  std::unique_ptr<Connection> connection_;
  std::uint64_t room_to_follow_ = 0;
};

struct Stream::Impl : TaskCore {
  using TaskCore::TaskCore;
};

/// Takes out what supervision needs and no user does.
Json public_document(Json document);

}  // namespace bgtask
