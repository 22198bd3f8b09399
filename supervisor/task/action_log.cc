#include "supervisor/task/action_log.h"

namespace bgtask::supervisor {

bool ActionLog::note(const Actor& actor, const std::string& action, double now) {
  if (!entries_.empty() && entries_.back().actor == actor && entries_.back().action == action) {
    entries_.back().time = now;
    ++entries_.back().count;
    return false;
  }
  entries_.push_back({now, actor, action, 1});
  if (entries_.size() > kKept) entries_.pop_front();
  return true;
}

Json ActionLog::document() const {
  Json list = Json::array();
  for (const Entry& entry : entries_) {
    list.push_back({{"time", entry.time},
                    {"uid", entry.actor.uid},
                    {"pid", entry.actor.pid},
                    {"action", entry.action},
                    {"count", entry.count}});
  }
  return list;
}

void ActionLog::resume(const Json& document) {
  try {
    for (const Json& entry : document) {
      entries_.push_back({entry.at("time").get<double>(),
                          {entry.at("uid").get<uid_t>(), entry.at("pid").get<pid_t>()},
                          entry.at("action").get<std::string>(),
                          entry.at("count").get<uint64_t>()});
    }
  } catch (const Json::exception&) {
    // Of an older version, or damaged: what was understood is kept.
  }
  while (entries_.size() > kKept)
    entries_.pop_front();
}

std::string in_words(const Actor& actor, const std::string& action) {
  return action + " by uid " + std::to_string(actor.uid) + ", pid " + std::to_string(actor.pid);
}

}  // namespace bgtask::supervisor
