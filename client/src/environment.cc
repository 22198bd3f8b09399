#include "client/src/environment.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace bgtask {

std::optional<pid_t> own_task_id() {
  const char* value = ::secure_getenv("BGTASK_PID");
  if (value == nullptr) return std::nullopt;
  const std::string_view text = value;
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size() || pid <= 0) return std::nullopt;
  return pid;
}

}  // namespace bgtask
