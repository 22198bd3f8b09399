#include "cli/console.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "cli/escaping.h"

namespace bgtask::cli {
namespace {

// Returns 0, or the errno.
int write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    data.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

void write_or_throw(int fd, const char* name, std::string_view data) {
  const int error = write_all(fd, data);
  if (error == 0) return;
  const std::string message = std::string("cannot write to ") + name + ": " + std::strerror(error);
  if (error == EPIPE) throw ReaderGone(message);
  throw ConsoleError(message);
}

}  // namespace

void write_stdout(std::string_view data) {
  write_or_throw(STDOUT_FILENO, "stdout", data);
}

void write_stderr(std::string_view data) {
  write_or_throw(STDERR_FILENO, "stderr", data);
}

void say(std::string_view text) {
  write_all(STDERR_FILENO, "bgtask: " + escaped(text) + "\n");
}

bool stdout_is_terminal() {
  return ::isatty(STDOUT_FILENO) == 1;
}

bool stderr_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

bool stdout_is_pipe() {
  struct stat st {};
  return ::fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode);
}

bool colours_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  return stdout_is_terminal() && !dumb && (no_color == nullptr || *no_color == '\0');
}

std::size_t line_width() {
  const char* columns = std::getenv("COLUMNS");
  const std::string_view text = columns == nullptr ? "" : columns;
  std::size_t width = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
  if (error == std::errc() && end == text.data() + text.size() && width > 0) return width;
  winsize size = {};
  if (!stdout_is_terminal() || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string read_some_stdin(std::size_t most) {
  std::string data(most, '\0');
  ssize_t got = -1;
  do {
    got = ::read(STDIN_FILENO, data.data(), most);
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw ConsoleError(std::string("cannot read stdin: ") + std::strerror(errno));
  data.resize(static_cast<std::size_t>(got));
  return data;
}

std::string read_stdin(std::size_t most) {
  std::string data;
  while (data.size() < most) {
    const std::string piece = read_some_stdin(most - data.size());
    if (piece.empty()) break;
    data += piece;
  }
  return data;
}

}  // namespace bgtask::cli
