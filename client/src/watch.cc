#include <bgtask/watch.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "client/src/deadline.h"
#include "client/src/file_limit.h"
#include "client/src/task_access.h"
#include "client/src/task_core.h"
#include "client/src/throwing.h"
#include "client/src/watched_task.h"

namespace bgtask {
namespace {

using Clock = std::chrono::steady_clock;
using Time = WatchedTask::Time;

constexpr std::size_t kBuffer = 64 * 1024;
/// What one call of dispatch() handles at most, in descriptors and in events of one task.
constexpr int kMostReady = 128;
constexpr std::size_t kMostEvents = 64;
/// Keys of the descriptors that are no task's.
constexpr std::uint64_t kWakeKey = 0;
constexpr std::uint64_t kTimerKey = std::numeric_limits<std::uint64_t>::max();

io::UniqueFd checked(int fd, const char* what) {
  if (fd < 0) throw_failure(with_limit_remedy(fail_errno(what, errno).value()));
  return io::UniqueFd(fd);
}

}  // namespace

struct Watch::Impl {
  struct Entry {
    Entry(std::uint64_t key_in, const Task& task_in, WatchSettings settings, Callback callback_in)
        : key(key_in), task(task_in), watched(std::move(settings)), callback(std::move(callback_in)) {}
    std::uint64_t key;
    Task task;
    WatchedTask watched;
    Callback callback;
    std::uint32_t serial = 0;        // of the descriptor that is registered
    std::uint32_t interest = 0;      // what it is registered for; 0: it is not
    Time due = WatchedTask::kNever;  // as in `timers`
    bool pending = false;            // in `pending`
    bool dropped = false;
  };
  using EntryPtr = std::shared_ptr<Entry>;
  struct KnownPool {
    std::pair<dev_t, ino_t> identity;
    std::weak_ptr<const PoolDirectory> pool;
  };

  Impl();
  EntryPtr make_entry(const Task& task, const WatchOptions& options, Callback callback);
  Status start(Entry& entry, TaskCore& core);
  void share_pool(TaskCore& core);
  Status update_registration(Entry& entry);
  void update(const EntryPtr& entry);
  void set_due(Entry& entry, Time due);
  void make_pending(Entry& entry);
  void drop(Entry& entry);
  std::size_t turn(int timeout_ms);
  std::size_t serve(const EntryPtr& entry, Time now);
  std::size_t serve_timers(Time now);
  std::size_t serve_pending(Time now);
  void rearm();

  io::UniqueFd epoll;
  io::UniqueFd timer;
  io::UniqueFd wake;
  std::uint64_t last_key = kWakeKey;
  std::unordered_map<std::uint64_t, EntryPtr> entries;
  std::set<std::pair<Time, std::uint64_t>> timers;
  std::deque<std::uint64_t> pending;  // entries with an event that no descriptor tells of
  std::vector<KnownPool> pools;
  std::vector<char> buffer = std::vector<char>(kBuffer);
  Time armed = WatchedTask::kNever;  // what the timer is set to
  bool woken = false;                // `wake` is readable because of `pending`
  bool in_turn = false;
  bool closed = false;  // the Watch was destroyed in a callback
  std::atomic<bool> stopped = false;
};

Watch::Impl::Impl()
    : epoll(checked(::epoll_create1(EPOLL_CLOEXEC), "cannot make an epoll descriptor")),
      timer(checked(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "cannot make a timer")),
      wake(checked(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "cannot make an event descriptor")) {
  const std::pair<int, std::uint64_t> own[] = {{timer.get(), kTimerKey}, {wake.get(), kWakeKey}};
  for (const auto& [fd, key] : own) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = key;
    if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      throw_failure(fail_errno("cannot watch a descriptor", errno).value());
  }
}

Watch::Impl::EntryPtr Watch::Impl::make_entry(const Task& task, const WatchOptions& options,
                                              Callback callback) {
  WatchSettings settings{.options = options, .patience = task.timeout()};
  if (options.output) settings.streams = value_or_throw(stream_mask(options.output->streams));
  const auto entry = std::make_shared<Entry>(last_key + 1, task, std::move(settings), std::move(callback));
  if (Status started = start(*entry, TaskAccess::core(task)); !started)
    throw_failure(with_limit_remedy(std::move(started).error()));
  ++last_key;
  return entry;
}

Status Watch::Impl::start(Entry& entry, TaskCore& core) {
  const Result<TaskDirectory> directory = core.open_directory();
  if (directory) {
    share_pool(core);
    if (Status started = entry.watched.start(core.shared_pool(), *directory, Clock::now()); !started)
      return started;
  } else if (is_own_shortage(directory.error().code)) {
    return fail(Failure(directory.error()));
  } else {
    entry.watched.start_without(directory.error());
  }
  return update_registration(entry);
}

// Tasks that were not found by a search have opened the pool each for itself.
void Watch::Impl::share_pool(TaskCore& core) {
  struct stat info {};
  if (::fstat(core.shared_pool()->fd.get(), &info) != 0) return;
  const std::pair<dev_t, ino_t> identity{info.st_dev, info.st_ino};
  std::erase_if(pools, [](const KnownPool& known) { return known.pool.expired(); });
  const auto known = std::find_if(pools.begin(), pools.end(),
                                  [&](const KnownPool& candidate) { return candidate.identity == identity; });
  if (known == pools.end()) {
    pools.push_back({identity, core.shared_pool()});
  } else if (std::shared_ptr<const PoolDirectory> pool = known->pool.lock()) {
    core.share_pool(std::move(pool));
  }
}

// A descriptor that was closed is no longer registered.
Status Watch::Impl::update_registration(Entry& entry) {
  const bool fresh = entry.serial != entry.watched.serial();
  if (fresh) {
    entry.serial = entry.watched.serial();
    entry.interest = 0;
  }
  if (entry.watched.descriptor() < 0) return {};
  const std::uint32_t interest = entry.watched.wants_to_write() ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (interest == entry.interest) return {};
  epoll_event event{};
  event.events = interest;
  event.data.u64 = entry.key;
  const int operation = entry.interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (::epoll_ctl(epoll.get(), operation, entry.watched.descriptor(), &event) != 0) {
    Failure failure = fail_errno("cannot watch a descriptor", errno).value();
    if (failure.os_error == ENOSPC) failure.message += "; see the sysctl fs.epoll.max_user_watches";
    return fail(std::move(failure));
  }
  entry.interest = interest;
  return {};
}

// After each change of the entry's state.
void Watch::Impl::update(const EntryPtr& entry) {
  if (entry->dropped) return;
  if (Status registered = update_registration(*entry); !registered)
    entry->watched.start_without(std::move(registered).error());
  set_due(*entry, entry->watched.due());
  if (entry->watched.has_event()) make_pending(*entry);
}

void Watch::Impl::set_due(Entry& entry, Time due) {
  if (due == entry.due) return;
  if (entry.due != WatchedTask::kNever) timers.erase({entry.due, entry.key});
  if (due != WatchedTask::kNever) timers.emplace(due, entry.key);
  entry.due = due;
}

void Watch::Impl::make_pending(Entry& entry) {
  if (entry.pending) return;
  pending.push_back(entry.key);
  entry.pending = true;
}

void Watch::Impl::drop(Entry& entry) {
  entry.dropped = true;
  set_due(entry, WatchedTask::kNever);
  entries.erase(entry.key);
}

/// Gives an entry's events to its callback. When the callback throws, the event that it was given counts as
/// delivered.
std::size_t Watch::Impl::serve(const EntryPtr& entry, Time now) {
  std::size_t count = 0;
  bool more = true;
  try {
    for (; count < kMostEvents && !entry->dropped && !closed; ++count) {
      std::optional<WatchEvent> event = entry->watched.next_event(now);
      more = event.has_value();
      if (!more) break;
      event->id = WatchId(entry->key);
      if (event->final()) drop(*entry);
      entry->callback(entry->task, *event);
    }
  } catch (...) {
    if (!entry->dropped) make_pending(*entry);
    update(entry);
    throw;
  }
  if (more && !entry->dropped) make_pending(*entry);
  update(entry);
  return count;
}

std::size_t Watch::Impl::serve_timers(Time now) {
  std::size_t count = 0;
  while (!closed && !timers.empty() && timers.begin()->first <= now) {
    const EntryPtr entry = entries.at(timers.begin()->second);
    set_due(*entry, WatchedTask::kNever);
    entry->watched.on_time(buffer, now);
    count += serve(entry, now);
  }
  return count;
}

std::size_t Watch::Impl::serve_pending(Time now) {
  std::size_t count = 0;
  for (std::size_t left = pending.size(); left > 0 && !closed && !pending.empty(); --left) {
    const auto found = entries.find(pending.front());
    pending.pop_front();
    if (found == entries.end()) continue;
    const EntryPtr entry = found->second;
    entry->pending = false;
    count += serve(entry, now);
  }
  return count;
}

/// Makes the descriptor readable, now or at the next due time, as far as no task's own does that.
void Watch::Impl::rearm() {
  const Time next = timers.empty() ? WatchedTask::kNever : timers.begin()->first;
  if (next != armed) {
    itimerspec when{};
    if (next != WatchedTask::kNever) {
      const auto since_epoch =
          std::chrono::duration_cast<std::chrono::nanoseconds>(next.time_since_epoch()).count();
      when.it_value.tv_sec = since_epoch / 1'000'000'000;
      when.it_value.tv_nsec = since_epoch % 1'000'000'000;
    }
    ::timerfd_settime(timer.get(), TFD_TIMER_ABSTIME, &when, nullptr);
    armed = next;
  }
  if (!pending.empty() && !std::exchange(woken, true)) ::eventfd_write(wake.get(), 1);
}

std::size_t Watch::Impl::turn(int timeout_ms) {
  if (in_turn)
    throw Error("bad_argument", "a callback of a Watch must not call its dispatch(), wait() or run()");
  struct Turn {
    explicit Turn(Impl& impl) : impl_(impl) { impl_.in_turn = true; }
    ~Turn() {
      impl_.in_turn = false;
      if (!impl_.closed) impl_.rearm();
    }
    Impl& impl_;
  } turn(*this);
  std::array<epoll_event, kMostReady> ready;
  const int count = ::epoll_wait(epoll.get(), ready.data(), kMostReady, timeout_ms);
  const Time now = Clock::now();
  std::size_t delivered = 0;
  for (int i = 0; i < count && !closed; ++i) {
    const std::uint64_t key = ready[static_cast<std::size_t>(i)].data.u64;
    eventfd_t value = 0;
    if (key == kWakeKey) {
      ::eventfd_read(wake.get(), &value);
      woken = false;
    } else if (key == kTimerKey) {
      static_cast<void>(::read(timer.get(), &value, sizeof value));
      armed = WatchedTask::kNever;
    } else if (const auto found = entries.find(key); found != entries.end()) {
      const EntryPtr entry = found->second;
      entry->watched.on_ready(buffer, now);
      delivered += serve(entry, now);
    }
  }
  delivered += serve_timers(now);
  return delivered + serve_pending(now);
}

Watch::Watch() : impl_(std::make_shared<Impl>()) {}
Watch::Watch(Watch&&) noexcept = default;

Watch& Watch::operator=(Watch&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

// In a callback the turn that called it still uses what it is in the middle of.
Watch::~Watch() {
  if (!impl_) return;
  impl_->closed = true;
  impl_->entries.clear();
}

WatchId Watch::add(const Task& task, const WatchOptions& options, Callback callback) {
  const Impl::EntryPtr entry = impl_->make_entry(task, options, std::move(callback));
  impl_->entries.emplace(entry->key, entry);
  impl_->update(entry);
  if (!impl_->in_turn) impl_->rearm();
  return WatchId(entry->key);
}

bool Watch::remove(WatchId id) {
  const auto found = impl_->entries.find(static_cast<std::uint64_t>(id));
  if (found == impl_->entries.end()) return false;
  const Impl::EntryPtr entry = found->second;
  impl_->drop(*entry);
  if (!impl_->in_turn) impl_->rearm();
  return true;
}

std::size_t Watch::size() const noexcept {
  return impl_->entries.size();
}

int Watch::descriptor() const noexcept {
  return impl_->epoll.get();
}

std::size_t Watch::dispatch() {
  const std::shared_ptr<Impl> impl = impl_;
  return impl->turn(0);
}

std::size_t Watch::wait(std::optional<Seconds> timeout) {
  const std::shared_ptr<Impl> impl = impl_;
  const Deadline deadline = timeout ? Deadline::after(*timeout) : Deadline::never();
  while (!impl->closed && !impl->stopped.exchange(false) && !impl->entries.empty()) {
    const std::size_t delivered = impl->turn(deadline.poll_timeout());
    if (delivered > 0 || deadline.passed()) return delivered;
  }
  return 0;
}

void Watch::run() {
  const std::shared_ptr<Impl> impl = impl_;
  while (!impl->closed && !impl->stopped.exchange(false) && !impl->entries.empty())
    impl->turn(-1);
}

void Watch::stop() noexcept {
  const int error = errno;  // a signal handler must leave it as it was
  impl_->stopped = true;
  ::eventfd_write(impl_->wake.get(), 1);
  errno = error;
}

}  // namespace bgtask
