#include "pool/src/crew.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

namespace bgtask {
namespace {

constexpr std::size_t kMostThreads = 4;
// To start a thread and await it takes about as long as some of these.
constexpr std::size_t kWorthAThread = 64;
// Claimed together: neighbours are often in the same cache line, and share what they write there.
constexpr std::size_t kClaim = 8;

// A thread inherits the mask: a handler of the caller's must not find itself on one that it does not know.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

std::size_t processors() {
  cpu_set_t usable;
  return ::sched_getaffinity(0, sizeof usable, &usable) == 0 ? static_cast<std::size_t>(CPU_COUNT(&usable))
                                                             : 1;
}

std::size_t helpers_for(std::size_t count) {
  if (count < kWorthAThread) return 0;
  return std::min({processors(), kMostThreads, count / (kWorthAThread / 2)}) - 1;
}

// Numbers that are handed out to whoever asks, until there are none or one of them went wrong.
class Shares {
 public:
  Shares(std::size_t count, const std::function<void(std::size_t)>& work) : count_(count), work_(work) {}

  void take_part() noexcept {
    try {
      for (std::size_t begin; (begin = next_.fetch_add(kClaim)) < count_;) {
        for (std::size_t i = begin; i < std::min(begin + kClaim, count_); ++i)
          work_(i);
      }
    } catch (...) {
      next_ = count_;
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::size_t count_;
  const std::function<void(std::size_t)>& work_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

Crew::Crew(std::size_t most, const std::function<void()>& work) {
  if (most == 0) return;
  threads_.reserve(most);
  const SignalsBlocked blocked;
  try {
    while (threads_.size() < most)
      threads_.emplace_back(work);
  } catch (const std::exception&) {  // no more of them, or no memory
  }
}

Crew::~Crew() {
  for (std::thread& thread : threads_)
    thread.join();
}

void share_out(std::size_t count, const std::function<void(std::size_t)>& work) {
  const std::size_t helpers = helpers_for(count);
  if (helpers == 0) {
    for (std::size_t i = 0; i < count; ++i)
      work(i);
    return;
  }
  Shares shares(count, work);
  {
    const Crew crew(helpers, [&shares] { shares.take_part(); });
    shares.take_part();
  }
  shares.rethrow();
}

}  // namespace bgtask
