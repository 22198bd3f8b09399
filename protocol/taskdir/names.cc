#include "protocol/taskdir/names.h"

#include <charconv>

namespace bgtask::taskdir {

std::optional<pid_t> task_id(std::string_view name) {
  pid_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size() || id <= 0) return std::nullopt;
  if (std::to_string(id) != name) return std::nullopt;
  return id;
}

}  // namespace bgtask::taskdir
