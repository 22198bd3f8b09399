#include "protocol/io/process_stat.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <string_view>

#include "protocol/io/files.h"
#include "protocol/io/unique_fd.h"

namespace bgtask::io {
namespace {

// Longer than any line: 52 numbers and a name of 64 bytes at most (fs/proc/array.c).
constexpr size_t kMaxLine = 2048;
constexpr uint64_t kForkNoExec = 0x40;  // PF_FORKNOEXEC of include/linux/sched.h

// Field `number` of the line as proc(5) counts them; only for those after the command's name, which may
// itself hold parentheses and blanks.
std::string_view field(std::string_view line, int number) {
  const size_t name_end = line.rfind(')');
  if (name_end == std::string_view::npos) return {};
  line.remove_prefix(std::min(name_end + 2, line.size()));
  for (int at = 3; at < number; ++at) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
  }
  return line.substr(0, line.find(' '));
}

uint64_t number_in(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<ProcessStat> process_stat(pid_t pid) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(std::string("cannot open ") + path, errno);
  char buffer[kMaxLine];
  ssize_t size = 0;
  do {
    size = ::read(fd.get(), buffer, sizeof buffer);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return fail_errno(std::string("cannot read ") + path, errno == ESRCH ? ENOENT : errno);
  const std::string_view line(buffer, static_cast<size_t>(size));
  const std::string_view state = field(line, 3);
  if (state.empty()) return fail(ErrorCode::kNotFound, std::string(path) + " is empty");
  ProcessStat stat;
  const size_t name = line.find('(') + 1;
  stat.name = line.substr(name, line.rfind(')') - name);
  stat.state = state.front();
  stat.parent = static_cast<pid_t>(number_in(field(line, 4)));
  stat.before_exec = (number_in(field(line, 9)) & kForkNoExec) != 0;
  stat.user_ticks = number_in(field(line, 14));
  stat.system_ticks = number_in(field(line, 15));
  stat.threads = number_in(field(line, 20));
  stat.start_ticks = number_in(field(line, 22));
  return stat;
}

Result<std::string> boot_id() {
  auto content = read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 128);
  if (!content) return fail_in_proc("cannot tell which boot this is", content.error().os_error);
  // A copy: supervisors keep it, and what was read into has room for much more.
  return content->substr(0, content->find('\n'));
}

}  // namespace bgtask::io
