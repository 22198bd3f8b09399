// Where the program's words and data go: data to stdout, words to stderr.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace bgtask::cli {

/// stdout could not be written to, or stdin not read. (A closed pipe is not this: it ends the program by
/// SIGPIPE, as everywhere.)
class ConsoleError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Nobody reads stdout or stderr any more, and SIGPIPE is ignored.
class ReaderGone : public ConsoleError {
 public:
  using ConsoleError::ConsoleError;
};

/// Writes all of it, unbuffered. \throws ConsoleError
void write_stdout(std::string_view data);
/// The same to stderr: for a task's stderr, not for words (see say()).
void write_stderr(std::string_view data);
/// "bgtask: TEXT" and a newline on stderr, control characters made visible.
void say(std::string_view text);

bool stdout_is_terminal();
bool stderr_is_terminal();
bool stdout_is_pipe();
/// On a terminal that can, unless $NO_COLOR is set.
bool colours_wanted();
/// Columns that a line of stdout may have: $COLUMNS if that is a number above 0, else those of the terminal
/// stdout is; 0 where it is none.
std::size_t line_width();

/// Reads up to `most` bytes of stdin, fewer only at its end (then possibly none). \throws ConsoleError
std::string read_stdin(std::size_t most);
/// What one read gives: something as soon as it is there; empty at the end. \throws ConsoleError
std::string read_some_stdin(std::size_t most);

}  // namespace bgtask::cli
