// libuv's handles as owned objects. libuv closes asynchronously, so the C handle lives on the heap and is
// freed by its close callback; our object may be destroyed at any time, also within its own callback.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>

#include "protocol/wire/result.h"

namespace bgtask::io {

/// An event loop. Must outlive its handles' objects; the destructor lets pending closes finish.
class Loop {
 public:
  Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  Status init();
  /// Runs until stop().
  void run();
  void stop();
  uv_loop_t* get() { return &loop_; }

 private:
  uv_loop_t loop_{};
  bool ready_ = false;
};

/// Watches one descriptor, which must stay open until the Poll is stopped or destroyed.
class Poll {
 public:
  using Callback = std::function<void(int events)>;

  Poll() = default;
  Poll(Poll&&) noexcept;
  Poll& operator=(Poll&&) noexcept;
  ~Poll();

  /// Calls back with UV_READABLE, UV_WRITABLE, … as long as `events` are ready. An error on the descriptor is
  /// reported as all requested events, so that the next system call returns it.
  Status start(Loop& loop, int fd, int events, Callback callback);
  /// Changes the events; 0 pauses.
  void set_events(int events);
  void stop();
  explicit operator bool() const { return holder_ != nullptr; }

 private:
  struct Holder;
  Holder* holder_ = nullptr;
};

/// Calls back once, after a delay.
class Timer {
 public:
  using Callback = std::function<void()>;

  Timer() = default;
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;
  ~Timer();

  /// Starts the timer; replaces a running one.
  void start(Loop& loop, uint64_t milliseconds, Callback callback);
  void stop();
  bool running() const { return holder_ != nullptr; }

 private:
  struct Holder;
  Holder* holder_ = nullptr;
};

/// Calls back once, in the next turn of the loop, after all other ready handlers.
class NextTurn {
 public:
  using Callback = std::function<void()>;

  NextTurn() = default;
  NextTurn(const NextTurn&) = delete;
  NextTurn& operator=(const NextTurn&) = delete;
  ~NextTurn();

  /// Does nothing if a call is pending already.
  void start(Loop& loop, Callback callback);
  void stop();
  bool running() const { return holder_ != nullptr; }

 private:
  struct Holder;
  Holder* holder_ = nullptr;
};

}  // namespace bgtask::io
