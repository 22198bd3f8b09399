#include "cli/verb.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <sstream>

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

// How many letters have to be put in, taken out or changed to make one of the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
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

std::string_view similar_verb(std::string_view name) {
  if (name.size() > 32) return {};
  std::string_view best;
  std::size_t least = 3;  // more than two wrong letters is another word
  for (const auto& entry : verbs()) {
    const std::size_t distance = edit_distance(name, entry.name);
    if (distance >= least || distance >= entry.name.size()) continue;
    least = distance;
    best = entry.name;
  }
  return best;
}

}  // namespace bgtask::cli
