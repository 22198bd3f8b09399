// Making text of unknown origin harmless to look at.
//
// A task's name, command and output are whatever someone made them. Printed as they are they could move the
// cursor, set the terminal's title, or turn a line around; here they become visible instead.
#pragma once

#include <string>
#include <string_view>

namespace bgtask::cli {

/// Control characters, C1 controls, direction marks and bytes that are no UTF-8 as \n, \t, \e, \x07,
/// \u{202e}; everything else as it is. The result is one line.
std::string escaped(std::string_view text);

/// Makes a stream of output harmless for a terminal, piece by piece: newline, tab and SGR colour sequences
/// stay, other controls become visible as with escaped(). Keeps what a piece left unfinished until the next.
class TerminalFilter {
 public:
  std::string feed(std::string_view piece);
  /// What is still held back, made visible, and the colours put back to normal where the stream changed them.
  std::string finish();

 private:
  std::string pending_;
  bool coloured_ = false;
};

}  // namespace bgtask::cli
