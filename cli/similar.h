// Near misses of mistyped words.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bgtask::cli {

/// How many letters have to be inserted, removed, changed, or swapped with their neighbour to make one word
/// of the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate most like `word`: at most two edits away, and fewer than the candidate has letters. Empty if
/// there is none, or if several are equally near.
std::string most_similar(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace bgtask::cli
