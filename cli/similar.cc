#include "cli/similar.h"

#include <algorithm>
#include <numeric>

namespace bgtask::cli {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Rows of the table for the last two letters of `a` and for the one before: a swap looks two back.
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::move(previous);
    previous = std::move(row);
    row.assign(b.size() + 1, i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({changed, previous[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

std::string most_similar(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongest = 64;  // longer ones are not typed
  constexpr std::size_t kMostEdits = 2;
  if (word.size() > kLongest) return {};
  std::string best;
  std::size_t least = kMostEdits + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest || candidate == best) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance > least || distance > kMostEdits || distance >= candidate.size()) continue;
    best = distance == least ? std::string() : candidate;
    least = distance;
  }
  return best;
}

}  // namespace bgtask::cli
