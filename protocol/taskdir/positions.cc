#include "protocol/taskdir/positions.h"

#include <string.h>

#include <string>

#include "protocol/wire/typed.h"

namespace bgtask::taskdir {
namespace {

using wire::flag_in;
using wire::member_in;
using wire::unsigned_in;

constexpr int kHighestErrno = 4095;  // include/linux/err.h: MAX_ERRNO

int error_number(const Json& name) {
  if (!name.is_string()) return 0;
  const auto& wanted = name.get_ref<const std::string&>();
  for (int number = 1; number <= kHighestErrno; ++number) {
    const char* known = ::strerrorname_np(number);
    if (known != nullptr && wanted == known) return number;
  }
  return 0;
}

}  // namespace

Json error_name(int error) {
  if (error == 0) return nullptr;
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? Json(name) : Json(std::to_string(error));
}

void add_counters(Json& object, const ring::Positions& positions) {
  object["start"] = positions.start;
  object["consumed"] = positions.consumed;
  object["limit"] = positions.limit;
  object["lost"] = positions.lost;
  object["eof"] = positions.eof;
}

Json stream_part(const ring::Positions& positions, uint64_t capacity) {
  Json part = Json::object();
  add_counters(part, positions);
  part["error"] = error_name(positions.error);
  part["gap"] = positions.gap;
  part["capacity"] = capacity;
  return part;
}

ring::Positions positions_in(const Json& object) {
  return {unsigned_in(object, "start"), unsigned_in(object, "consumed"),
          unsigned_in(object, "limit"), unsigned_in(object, "lost"),
          flag_in(object, "eof"),       error_number(member_in(object, "error")),
          flag_in(object, "gap")};
}

}  // namespace bgtask::taskdir
