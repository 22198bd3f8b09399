// The table of methods. It validates requests and describes them in the reply to `methods`; messages.h has a
// struct for each, which a test compares with it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/wire/json.h"
#include "protocol/wire/result.h"

namespace bgtask::wire {

enum class MethodId {
  kPing,
  kMethods,
  kInfo,
  kApplyMeta,
  kKill,
  kPause,
  kResume,
  kRestart,
  kStop,
  kDelete,
  kStreamInfo,
  kRead,
  kOutput,
  kWrite,
  kClose,
  kWait,
  kSubscribe,
  kUnsubscribe,
};

enum class ParamType {
  kBoolean,
  kOffset,      ///< integer, 0 … 2^63-1
  kSeconds,     ///< number ≥ 0, at most kMaxSeconds
  kSignal,      ///< name with or without SIG, or number 1–64
  kScope,       ///< "process", "group", "tree"
  kStream,      ///< name or number of any stream
  kStreamList,  ///< list of names or numbers of output streams
  kWaitList,    ///< list of "exit", "output", "eof"
  kEventList,   ///< list of "output", "exit", "meta", "stream"
  kObject,
  kBytes,  ///< string, bin or {"base64": …}
};

/// A hundred years: longer than anybody waits, and far from overflowing 64 bits of nanoseconds.
inline constexpr double kMaxSeconds = 3.2e9;

struct Param {
  std::string_view name;
  ParamType type;
  bool required = false;
  std::string_view note;  ///< default and meaning, for the reply to `methods`
};

struct Method {
  MethodId id;
  std::string_view name;
  std::span<const Param> params;
  bool read_only;  ///< changes nothing of the task
  std::string_view summary;
};

std::span<const Method> methods();
const Method* find_method(std::string_view name);
std::string_view method_name(MethodId id);
/// bad_argument naming the parameter that is unknown, missing, of a wrong type or out of range.
Status validate(const Method& method, const Json& params);
/// The reply to `methods`.
Json describe_methods();

/// bad_argument that names a parameter.
tl::unexpected<Failure> bad_parameter(std::string_view name, std::string message);
/// The same for a value that does not fit the parameter's type.
tl::unexpected<Failure> wrong_type(std::string_view name, ParamType type);

std::string_view type_name(ParamType type);

/// Stream numbers: 0 stdin, 1 stdout, 2 stderr, 3 data, from a name or number; nothing if it is none.
std::optional<int> stream_number(const Json& value);
std::string_view stream_name(int number);

}  // namespace bgtask::wire
