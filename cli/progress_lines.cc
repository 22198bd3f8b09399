#include "cli/progress_lines.h"

#include <utility>

namespace bgtask::cli {
namespace {

// Erases a line, or what is left of it: the programs that use it do so after a carriage return.
constexpr std::string_view kErasers[] = {"\x1b[K", "\x1b[0K", "\x1b[2K"};

std::string_view without_erasers(std::string_view text) {
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view eraser : kErasers) {
      if (!text.starts_with(eraser)) continue;
      text.remove_prefix(eraser.size());
      found = true;
    }
  }
  return text;
}

std::string_view without_returns(std::string_view text) {
  while (text.ends_with('\r'))
    text.remove_suffix(1);
  return text;
}

}  // namespace

std::string last_state(std::string_view line) {
  const bool complete = line.ends_with('\n');
  if (complete) line.remove_suffix(1);
  line = without_returns(line);
  const auto last = line.rfind('\r');
  if (last != std::string_view::npos) line = without_erasers(line.substr(last + 1));
  return std::string(line) + (complete ? "\n" : "");
}

LiveProgress::Step LiveProgress::advance(std::string_view part, bool completes_line) {
  const std::string_view seen = without_returns(part);
  const bool returns_at_end = seen.size() < part.size();
  const auto last = seen.rfind('\r');
  Step step;
  if (last != std::string_view::npos || (returned_ && !seen.empty())) {
    step.begin_anew = shown_;
    step.text = without_erasers(last == std::string_view::npos ? seen : seen.substr(last + 1));
  } else {
    step.text = seen;
  }
  if (!seen.empty()) returned_ = false;
  returned_ = returned_ || returns_at_end;
  shown_ = shown_ || !step.text.empty();
  if (completes_line) shown_ = returned_ = false;
  return step;
}

}  // namespace bgtask::cli
