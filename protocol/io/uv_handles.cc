#include "protocol/io/uv_handles.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

namespace bgtask::io {

Loop::~Loop() {
  if (!ready_) return;
  uv_run(&loop_, UV_RUN_DEFAULT);                // only close callbacks are left
  if (uv_loop_close(&loop_) != 0) std::abort();  // a handle outlived its loop
}

Status Loop::init() {
  // libuv makes a pipe at the first loop and aborts if it cannot.
  int probe[2];
  if (::pipe2(probe, O_CLOEXEC) != 0) return fail_errno("cannot make an event loop", errno);
  ::close(probe[0]);
  ::close(probe[1]);
  if (int error = uv_loop_init(&loop_); error != 0) return fail_errno("cannot make an event loop", -error);
  ready_ = true;
  return {};
}

void Loop::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
}

void Loop::stop() {
  uv_stop(&loop_);
}

struct Poll::Holder {
  uv_poll_t handle{};
  Callback callback;
  int events = 0;
  bool owned = true;

  static void on_events(uv_poll_t* handle, int status, int events) noexcept {
    auto* self = static_cast<Holder*>(handle->data);
    if (!self->owned) return;
    // The callback may destroy the Poll and with it the running function, so the function is kept alive.
    Callback callback = self->callback;
    int asked = self->events;
    // libuv disarms a descriptor in error; it stays watched here until a read has seen the error.
    if (status < 0) uv_poll_start(handle, asked, on_events);
    callback(status < 0 ? asked : events);
  }
  static void on_closed(uv_handle_t* handle) noexcept { delete static_cast<Holder*>(handle->data); }
};

Poll::Poll(Poll&& other) noexcept : holder_(std::exchange(other.holder_, nullptr)) {}

Poll& Poll::operator=(Poll&& other) noexcept {
  if (this != &other) {
    stop();
    holder_ = std::exchange(other.holder_, nullptr);
  }
  return *this;
}

Poll::~Poll() {
  stop();
}

Status Poll::start(Loop& loop, int fd, int events, Callback callback) {
  stop();
  auto* holder = new Holder;
  holder->callback = std::move(callback);
  holder->handle.data = holder;
  if (int error = uv_poll_init(loop.get(), &holder->handle, fd); error != 0) {
    delete holder;  // not adopted by the loop: nothing to close
    return fail_errno("cannot watch a descriptor", -error);
  }
  holder_ = holder;
  set_events(events);
  return {};
}

void Poll::set_events(int events) {
  if (holder_ == nullptr || holder_->events == events) return;
  holder_->events = events;
  if (events == 0) {
    uv_poll_stop(&holder_->handle);
  } else {
    uv_poll_start(&holder_->handle, events, Holder::on_events);
  }
}

void Poll::stop() {
  if (holder_ == nullptr) return;
  holder_->owned = false;
  uv_close(reinterpret_cast<uv_handle_t*>(&holder_->handle), Holder::on_closed);
  holder_ = nullptr;
}

struct Timer::Holder {
  uv_timer_t handle{};
  Callback callback;
  Timer* owner = nullptr;

  static void on_due(uv_timer_t* handle) noexcept {
    auto* self = static_cast<Holder*>(handle->data);
    if (self->owner == nullptr) return;
    Callback callback = std::move(self->callback);
    self->owner->stop();
    callback();
  }
  static void on_closed(uv_handle_t* handle) noexcept { delete static_cast<Holder*>(handle->data); }
};

Timer::Timer(Timer&& other) noexcept : holder_(std::exchange(other.holder_, nullptr)) {
  if (holder_ != nullptr) holder_->owner = this;
}

Timer& Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    stop();
    holder_ = std::exchange(other.holder_, nullptr);
    if (holder_ != nullptr) holder_->owner = this;
  }
  return *this;
}

Timer::~Timer() {
  stop();
}

void Timer::start(Loop& loop, uint64_t milliseconds, Callback callback) {
  stop();
  auto* holder = new Holder;
  holder->callback = std::move(callback);
  holder->owner = this;
  holder->handle.data = holder;
  uv_timer_init(loop.get(), &holder->handle);
  // The loop caches its clock for a turn; a deadline counts from the actual time.
  uv_update_time(loop.get());
  uv_timer_start(&holder->handle, Holder::on_due, milliseconds, 0);
  holder_ = holder;
}

void Timer::stop() {
  if (holder_ == nullptr) return;
  holder_->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&holder_->handle), Holder::on_closed);
  holder_ = nullptr;
}

// An idle handle and not a timer: a timer that is due at once and started by a timer's callback runs in the
// same turn, before libuv looks at any descriptor.
struct NextTurn::Holder {
  uv_idle_t handle{};
  Callback callback;
  NextTurn* owner = nullptr;

  static void on_turn(uv_idle_t* handle) noexcept {
    auto* self = static_cast<Holder*>(handle->data);
    if (self->owner == nullptr) return;
    Callback callback = std::move(self->callback);
    self->owner->stop();
    callback();
  }
  static void on_closed(uv_handle_t* handle) noexcept { delete static_cast<Holder*>(handle->data); }
};

NextTurn::~NextTurn() {
  stop();
}

void NextTurn::start(Loop& loop, Callback callback) {
  if (running()) return;
  auto* holder = new Holder;
  holder->callback = std::move(callback);
  holder->owner = this;
  holder->handle.data = holder;
  uv_idle_init(loop.get(), &holder->handle);
  uv_idle_start(&holder->handle, Holder::on_turn);
  holder_ = holder;
}

void NextTurn::stop() {
  if (holder_ == nullptr) return;
  holder_->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&holder_->handle), Holder::on_closed);
  holder_ = nullptr;
}

}  // namespace bgtask::io
