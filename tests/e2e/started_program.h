// A program that a test talks to while it runs.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {

/// Which descriptors the program is to have; -1 is a pipe to the test. They stay the caller's.
struct StartedStdio {
  int in = -1, out = -1, err = -1;
};

/// Started by the constructor, as a child of the test; killed and reaped by the destructor if it still runs.
class StartedProgram {
 public:
  explicit StartedProgram(const std::vector<std::string>& argv, const StartedStdio& stdio = {},
                          const std::map<std::string, std::string>& env = {});
  ~StartedProgram();
  StartedProgram(const StartedProgram&) = delete;
  StartedProgram& operator=(const StartedProgram&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const { send_signal(pid_, number); }
  void send(std::string_view text) const;
  void close_stdin();
  /// Goes away as a reader.
  void close_stdout();
  /// Waits until the text has appeared; false at the deadline, or when the program has closed the pipe
  /// without it.
  bool says(std::string_view text, Milliseconds deadline = kPatience) { return awaits(out_, text, deadline); }
  bool says_on_stderr(std::string_view text, Milliseconds deadline = kPatience) {
    return awaits(err_, text, deadline);
  }
  /// Reads what is left and waits for the end: the exit code, or 128 + signal; -1 at the deadline.
  int wait(Milliseconds deadline = kPatience);
  const std::string& out() const { return out_.text; }
  const std::string& err() const { return err_.text; }

 private:
  struct Reading {
    int fd = -1;
    std::string text;
  };
  static bool awaits(Reading& reading, std::string_view text, Milliseconds deadline);
  static bool read_some(Reading& reading, int milliseconds);

  pid_t pid_ = -1;
  int in_ = -1;
  Reading out_, err_;
};

}  // namespace bgtask::e2e
