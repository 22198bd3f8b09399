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

// The fields after the command's name, by their numbers in proc(5); read them in ascending order.
class Fields {
 public:
  explicit Fields(std::string_view from_state) : rest_(from_state) {}

  // Empty if there is none.
  std::string_view at(int number) {
    for (; number_ < number; ++number_) {
      const size_t space = rest_.find(' ');
      rest_.remove_prefix(space == std::string_view::npos ? rest_.size() : space + 1);
    }
    return rest_.substr(0, rest_.find(' '));
  }

 private:
  std::string_view rest_;
  int number_ = 3;
};

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
  // The name may itself hold parentheses and blanks.
  const size_t name = line.find('(') + 1;
  const size_t name_end = std::min(line.rfind(')'), line.size());
  Fields fields(line.substr(std::min(name_end + 2, line.size())));
  const std::string_view state = fields.at(3);
  if (state.empty()) return fail(ErrorCode::kNotFound, std::string(path) + " is empty");
  ProcessStat stat;
  stat.name = line.substr(name, name_end - name);
  stat.state = state.front();
  stat.parent = static_cast<pid_t>(number_in(fields.at(4)));
  stat.before_exec = (number_in(fields.at(9)) & kForkNoExec) != 0;
  stat.user_ticks = number_in(fields.at(14));
  stat.system_ticks = number_in(fields.at(15));
  stat.children_ticks = number_in(fields.at(16)) + number_in(fields.at(17));
  stat.threads = number_in(fields.at(20));
  stat.start_ticks = number_in(fields.at(22));
  return stat;
}

Result<std::string> boot_id() {
  auto content = read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 128);
  if (!content) return fail_in_proc("cannot tell which boot this is", content.error().os_error);
  // A copy: supervisors keep it, and the read buffer is much larger.
  return content->substr(0, content->find('\n'));
}

}  // namespace bgtask::io
