// Who did what to the task: signals, restarts, deletes. Kept in the info document and in the task's log.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "protocol/taskdir/status_document.h"

namespace bgtask::supervisor {

/// Who asked, by the kernel's word at connect (or of the signal).
struct Actor {
  uid_t uid = 0;
  pid_t pid = 0;
  bool operator==(const Actor&) const = default;
};

class ActionLog {
 public:
  /// Notes an action. The same one of the same actor again is counted with the last one: false then, and
  /// there is no line to be logged.
  bool note(const Actor& actor, const std::string& action, double now);

  /// Oldest first; the last kKept of them.
  std::vector<taskdir::Action> entries() const { return {entries_.begin(), entries_.end()}; }
  /// Goes on where a former supervisor's document ended.
  void resume(const std::vector<taskdir::Action>& former);

  static constexpr size_t kKept = 16;

 private:
  std::deque<taskdir::Action> entries_;
};

/// "KILL to the group by uid 1000, pid 4711", for the log.
std::string in_words(const Actor& actor, const std::string& action);

}  // namespace bgtask::supervisor
