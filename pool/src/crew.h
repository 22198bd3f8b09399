// Work that several threads take on together.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

namespace bgtask {

/// Threads that live as long as this does.
class Crew {
 public:
  /// Starts up to `most` threads that run `work` once each; fewer, or none, where they are not to be had.
  /// `work`, which must not throw, is not to expect signals: those stay with the threads there were before.
  Crew(std::size_t most, const std::function<void()>& work);
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  /// Waits for them all.
  ~Crew();

  std::size_t size() const { return threads_.size(); }

 private:
  std::vector<std::thread> threads_;
};

/// Calls `work` for each number below `count`, in no order: on the calling thread and, where there are enough
/// of them for that to pay and more than one processor to run on, on a few more, none of which is left when
/// this returns. Where `work` throws no more numbers are begun, and the first exception is the caller's.
void share_out(std::size_t count, const std::function<void(std::size_t)>& work);

}  // namespace bgtask
