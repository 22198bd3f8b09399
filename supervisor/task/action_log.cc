#include "supervisor/task/action_log.h"

#include <algorithm>
#include <cstddef>

namespace bgtask::supervisor {

bool ActionLog::note(const Actor& actor, const std::string& action, double now) {
  const bool again = !entries_.empty() && entries_.back().uid == actor.uid &&
                     entries_.back().pid == actor.pid && entries_.back().action == action;
  if (again) {
    entries_.back().time = now;
    ++entries_.back().count;
    return false;
  }
  entries_.push_back({now, actor.uid, actor.pid, action, 1});
  if (entries_.size() > kKept) entries_.pop_front();
  return true;
}

void ActionLog::resume(const std::vector<taskdir::Action>& former) {
  entries_.assign(former.end() - static_cast<ptrdiff_t>(std::min(former.size(), kKept)), former.end());
}

std::string in_words(const Actor& actor, const std::string& action) {
  return action + " by uid " + std::to_string(actor.uid) + ", pid " + std::to_string(actor.pid);
}

}  // namespace bgtask::supervisor
