// Progress that a program shows by carriage returns, brought down to its last state.
#pragma once

#include <string>
#include <string_view>

namespace bgtask::cli {

/// The last state of a line: what follows its last carriage return that has anything after it. Sequences that
/// erase the line go with what they erased. A newline at the end stays, a carriage return before it does not.
std::string last_state(std::string_view line);

/// The same for output that comes piece by piece and is to be seen at once, on a terminal: a line is begun
/// anew whenever a piece brings another state of it.
class LiveProgress {
 public:
  /// Begins the terminal's line anew: to the first column, and the rest erased.
  static constexpr std::string_view kBeginAnew = "\r\x1b[K";

  /// What to write for this piece: parts of `piece`, each after `make_harmless` was asked about it, and
  /// kBeginAnew.
  template <typename MakeHarmless>
  std::string feed(std::string_view piece, MakeHarmless&& make_harmless) {
    std::string out;
    while (!piece.empty()) {
      const auto newline = piece.find('\n');
      const bool complete = newline != std::string_view::npos;
      const Step step = advance(piece.substr(0, newline), complete);
      if (step.begin_anew) out += kBeginAnew;
      out += make_harmless(step.text);
      if (!complete) break;
      out += make_harmless("\n");
      piece.remove_prefix(newline + 1);
    }
    return out;
  }

 private:
  struct Step {
    bool begin_anew = false;
    std::string text;
  };
  Step advance(std::string_view part, bool completes_line);

  bool shown_ = false;     // something of the present line is on the screen
  bool returned_ = false;  // a carriage return came after it
};

}  // namespace bgtask::cli
