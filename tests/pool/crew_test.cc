#include "pool/src/crew.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/pool/support.h"

namespace bgtask {
namespace {

// Who did the work, if it was done once for each number.
std::set<std::thread::id> workers_of(std::size_t count) {
  std::vector<std::atomic<int>> times(count);
  std::mutex mutex;
  std::set<std::thread::id> workers;
  share_out(count, [&](std::size_t i) {
    ++times[i];
    const std::lock_guard lock(mutex);
    workers.insert(std::this_thread::get_id());
  });
  for (const std::atomic<int>& one : times) {
    if (one != 1) return {};
  }
  return workers;
}

const std::set<std::thread::id> kNobody;

std::set<std::thread::id> myself() {
  return {std::this_thread::get_id()};
}

TEST(ShareOut, EachNumberOnce) {
  for (const std::size_t count : {64u, 65u, 100u, 1000u, 10001u})
    EXPECT_NE(workers_of(count), kNobody) << count;
}

TEST(ShareOut, FewTakeNoThread) {
  EXPECT_EQ(workers_of(0), kNobody);
  EXPECT_EQ(workers_of(1), myself());
  EXPECT_EQ(workers_of(63), myself());
}

TEST(ShareOut, NoThreadWhereThereIsOneProcessor) {
  EXPECT_EQ(test::in_child([]() -> std::string {
              cpu_set_t one;
              CPU_ZERO(&one);
              CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &one);
              if (::sched_setaffinity(0, sizeof one, &one) != 0) return "no affinity";
              return workers_of(1000) == myself() ? "" : "not alone";
            }),
            "");
}

TEST(ShareOut, AloneWhereNoThreadIsToBeHad) {
  EXPECT_EQ(test::in_child([]() -> std::string {
              test::become(test::kSomeUser);
              const rlimit none = {1, 1};
              if (::setrlimit(RLIMIT_NPROC, &none) != 0) return "no limit";
              if (Crew(3, [] {}).size() != 0) return "there are threads";
              return workers_of(1000) == myself() ? "" : "not alone";
            }),
            "");
}

TEST(ShareOut, AnExceptionIsTheCallers) {
  for (const std::size_t bad : {0u, 500u, 99'999u}) {
    std::atomic<std::size_t> begun = 0;
    const auto work = [&](std::size_t i) {
      ++begun;
      if (i == bad) throw std::out_of_range(std::to_string(i));
    };
    try {
      share_out(100'000, work);
      ADD_FAILURE() << bad;
    } catch (const std::out_of_range& error) {
      EXPECT_EQ(error.what(), std::to_string(bad));
    }
    EXPECT_LE(begun, 100'000u);
  }
}

TEST(Crew, AllHaveEndedWhenItHas) {
  std::atomic<int> ended = 0;
  {
    const Crew crew(3, [&] {
      std::this_thread::yield();
      ++ended;
    });
    EXPECT_EQ(crew.size(), 3u);
  }
  EXPECT_EQ(ended, 3);
}

TEST(Crew, SignalsAreForOthers) {
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  std::atomic<bool> blocked = false;
  {
    const Crew crew(1, [&] {
      sigset_t mask;
      ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      blocked = ::sigismember(&mask, SIGTERM) == 1 && ::sigismember(&mask, SIGCHLD) == 1 &&
                ::sigismember(&mask, SIGRTMAX) == 1;
    });
  }
  EXPECT_TRUE(blocked);
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signal = 1; signal < NSIG; ++signal)
    EXPECT_EQ(::sigismember(&after, signal), ::sigismember(&before, signal)) << signal;
}

}  // namespace
}  // namespace bgtask
