// One entry of a Watch: a task, the connection to its supervisor, and what becomes of both.
#pragma once

#include <bgtask/watch.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "client/src/ring_reading.h"
#include "client/src/session.h"
#include "client/src/task_fate.h"
#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// What an entry is to tell, checked.
struct WatchSettings {
  WatchOptions options;
  std::uint32_t streams = 0;  ///< of the output, as stream_mask() has them
  Seconds patience{10};       ///< before `unresponsive`
};

/// Never waits. Its owner polls descriptor(), calls on_ready() and on_time(), and takes events by
/// next_event() until there is none; an event is made only when it is taken, so nothing is queued. Time is an
/// argument.
class WatchedTask {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr Time kNever = Time::max();

  explicit WatchedTask(WatchSettings settings) : settings_(std::move(settings)) {}

  /// Begins with the task in `directory`. Fails only where this process is short of descriptors or memory.
  Status start(std::shared_ptr<const PoolDirectory> pool, const TaskDirectory& directory, Time now);
  /// Begins and ends with the reason why there is no task to begin with, or why it cannot be watched any
  /// more.
  void start_without(Failure failure);

  /// The descriptor to poll; -1 for none. Another one, perhaps of the same number, is told by another serial.
  int descriptor() const { return process_ ? process_.get() : socket_.get(); }
  std::uint32_t serial() const { return serial_; }
  bool wants_to_write() const { return session_ && session_->has_unsent(); }
  /// When on_time() is to be called.
  Time due() const;

  /// The descriptor is ready. `buffer` is used to receive, and not kept.
  void on_ready(std::span<char> buffer, Time now);
  void on_time(std::span<char> buffer, Time now);
  /// Whether next_event() is to be called though neither descriptor nor time says so.
  bool has_event() const { return ready_ || phase_ == Phase::kDraining; }
  /// The next event. After a final one there is none.
  std::optional<WatchEvent> next_event(Time now);

 private:
  enum class Phase {
    kConnecting,  // to be tried (again) at retry_at_
    kConnected,
    kClosed,    // the supervisor closed the connection: what became of the task is looked at (again) at
                // retry_at_
    kDraining,  // lost: what the rings still hold is given
    kEnded,
  };
  /// What is read from the files of a lost task, and the event that ends the entry then.
  struct Drain {
    TaskDirectory directory;
    OutputRings rings;
    ring::LastOutput last;
    WatchEvent lost;
  };

  Status connect(const TaskDirectory& directory, Time now);
  void connect_again(Time now);
  void retry_later(Time now);
  void subscribe();
  void subscribed(std::uint64_t next);
  void disconnect();
  bool receive(std::span<char> buffer);
  void closed(Time now);
  void look(Time now);
  void look_later(Time now);
  void settle(Fate fate, Whereabouts found);
  void became_lost(Whereabouts found);
  void set_adopter(WatchEvent& lost, const Whereabouts& found) const;
  void end(WatchEvent::Kind kind, Failure failure);
  void tell_meta();
  std::optional<WatchEvent> take(SessionMessage message, Time now);
  std::optional<WatchEvent> take_event(Json params);
  std::optional<WatchEvent> drained();

  WatchSettings settings_;  // options.output->cursor moves on
  TaskPlace place_;
  Phase phase_ = Phase::kEnded;
  io::UniqueFd socket_;
  io::UniqueFd process_;  // the supervisor, while its end is awaited
  pid_t supervisor_ = 0;
  std::uint32_t serial_ = 0;
  std::unique_ptr<ClientSession> session_;  // kConnected
  bool has_messages_ = false;               // the session may hold complete ones
  bool at_end_ = false;                     // the peer sends nothing more
  bool answered_ = false;                   // this connection is subscribed, or has nothing to subscribe to
  bool was_subscribed_ = false;             // so was a former one
  bool told_unresponsive_ = false;
  bool supervisor_gone_ = false;
  std::uint64_t told_runs_ = 0;  // the run whose end was told last
  std::chrono::milliseconds pause_{0};
  Time retry_at_ = kNever;        // kConnecting, kClosed
  Time patience_until_ = kNever;  // unresponsive, or at the end of our means, then
  Time look_until_ = kNever;      // kClosed
  std::unique_ptr<WatchEvent> ready_;
  std::unique_ptr<Drain> drain_;
};

}  // namespace bgtask
