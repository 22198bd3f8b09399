#include "cli/verb.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "cli/similar.h"

namespace bgtask::cli {
namespace {

bool is_called(const VerbEntry& entry, std::string_view name) {
  if (entry.name == name) return true;
  std::istringstream aliases{std::string(entry.aliases)};
  for (std::string alias; aliases >> alias;) {
    if (alias == name) return true;
  }
  return false;
}

// What a verb that is mistyped may do without harm: a suggestion is typed again without much thought.
bool ends_or_removes(std::string_view verb) {
  static constexpr std::array<std::string_view, 6> kVerbs = {"kill",   "stop",  "restart",
                                                             "delete", "clean", "gc"};
  return std::find(kVerbs.begin(), kVerbs.end(), verb) != kVerbs.end();
}

}  // namespace

std::span<const VerbEntry> verbs() {
  static const std::array kVerbs = {run_verb(),    ls_verb(),     info_verb(),    meta_verb(), logs_verb(),
                                    follow_verb(), read_verb(),   send_verb(),    kill_verb(), stop_verb(),
                                    pause_verb(),  resume_verb(), restart_verb(), wait_verb(), delete_verb(),
                                    clean_verb(),  adopt_verb(),  gc_verb(),      emit_verb()};
  return kVerbs;
}

const VerbEntry* find_verb(std::string_view name) {
  for (const auto& entry : verbs()) {
    if (is_called(entry, name)) return &entry;
  }
  return nullptr;
}

std::string similar_verb(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : verbs())
    names.emplace_back(entry.name);
  const std::string similar = most_similar(name, names);
  return ends_or_removes(similar) ? std::string() : similar;
}

}  // namespace bgtask::cli
