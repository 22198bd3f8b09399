// Being the parent of a supervisor that does not detach.
#pragma once

#include <sys/types.h>

namespace bgtask::cli {

/// For `run --behavior foreground`: HUP, INT and TERM sent to this process are passed on to the supervisor
/// (for which they mean: delete the task). Only one may exist.
///
/// Made before the spawn, it holds the signals back until adopt(), so that none is lost in between.
class ForegroundParent {
 public:
  ForegroundParent();
  ~ForegroundParent();
  ForegroundParent(const ForegroundParent&) = delete;
  ForegroundParent& operator=(const ForegroundParent&) = delete;

  /// From now on signals go to this child.
  void adopt(pid_t supervisor);
  /// Waits for it to end. Returns its exit status, 128 + n for a signal.
  int wait();
};

}  // namespace bgtask::cli
