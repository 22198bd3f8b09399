// What HUP, INT and TERM to `run` mean for the task that it stays with.
#pragma once

#include <sys/types.h>

#include <string>

namespace bgtask::cli {

/// Made before the task is started, it holds these signals back until it is said what they mean, so that none
/// falls in between. Those that the caller ignores stay ignored, as with nohup. Only one may exist.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  /// They end us, after these words on stderr (none at HUP: the terminal is gone).
  void leaves_task(const std::string& words);
  /// The first asks the supervisor to delete the task, with these words, and we go on until that is done; a
  /// second one ends us.
  void deletes_task(pid_t supervisor, const std::string& words);
};

/// Ends this process by a signal, as if nobody had handled it: the caller's shell is to see that.
[[noreturn]] void die_of(int signal);

}  // namespace bgtask::cli
