#include "protocol/wire/error_code.h"

#include <cerrno>
#include <cstring>
#include <iterator>

#include "protocol/wire/result.h"

namespace bgtask {
namespace {

struct Entry {
  ErrorCode code;
  std::string_view word;
  int number;
};

constexpr int kServerError = -32000;

constexpr Entry kEntries[] = {
    {ErrorCode::kParseError, "parse_error", -32700},
    {ErrorCode::kInvalidRequest, "invalid_request", -32600},
    {ErrorCode::kUnknownMethod, "unknown_method", -32601},
    {ErrorCode::kNotFound, "not_found", kServerError},
    {ErrorCode::kExists, "exists", kServerError},
    {ErrorCode::kDenied, "denied", kServerError},
    {ErrorCode::kUnsafePool, "unsafe_pool", kServerError},
    {ErrorCode::kImpostor, "impostor", kServerError},
    {ErrorCode::kPathTooLong, "path_too_long", kServerError},
    {ErrorCode::kReadOnly, "read_only", kServerError},
    {ErrorCode::kNoSpace, "no_space", kServerError},
    {ErrorCode::kTooManyFiles, "too_many_files", kServerError},
    {ErrorCode::kProcessLimit, "process_limit", kServerError},
    {ErrorCode::kNoMemory, "no_memory", kServerError},
    {ErrorCode::kFileLimit, "file_limit", kServerError},
    {ErrorCode::kExecFailed, "exec_failed", kServerError},
    {ErrorCode::kLocked, "locked", kServerError},
    {ErrorCode::kBusy, "busy", kServerError},
    {ErrorCode::kRunning, "running", kServerError},
    {ErrorCode::kAlreadyExited, "already_exited", kServerError},
    {ErrorCode::kKillIncomplete, "kill_incomplete", kServerError},
    {ErrorCode::kStdinClosed, "stdin_closed", kServerError},
    {ErrorCode::kWouldBlock, "would_block", kServerError},
    {ErrorCode::kLost, "lost", kServerError},
    {ErrorCode::kUnresponsive, "unresponsive", kServerError},
    {ErrorCode::kTooSlow, "too_slow", kServerError},
    {ErrorCode::kFrameTooLarge, "frame_too_large", kServerError},
    {ErrorCode::kTooDeep, "too_deep", kServerError},
    {ErrorCode::kFrameTimeout, "frame_timeout", kServerError},
    {ErrorCode::kBadArgument, "bad_argument", kServerError},
    {ErrorCode::kVersionMismatch, "version_mismatch", kServerError},
};

const Entry& entry(ErrorCode code) {
  for (const Entry& e : kEntries) {
    if (e.code == code) return e;
  }
  __builtin_unreachable();
}

}  // namespace

std::string_view word(ErrorCode code) {
  return entry(code).word;
}

std::optional<ErrorCode> error_code(std::string_view word) {
  for (const Entry& e : kEntries) {
    if (e.word == word) return e.code;
  }
  return std::nullopt;
}

int rpc_number(ErrorCode code) {
  return entry(code).number;
}

ErrorCode code_of_errno(int os_error, ErrorCode fallback) {
  switch (os_error) {
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kNoSpace;
    case EMFILE:
    case ENFILE:
      return ErrorCode::kTooManyFiles;
    case ENOMEM:
      return ErrorCode::kNoMemory;
    case EROFS:
      return ErrorCode::kReadOnly;
    case EFBIG:
      return ErrorCode::kFileLimit;
    case ENAMETOOLONG:
      return ErrorCode::kPathTooLong;
    case EACCES:
    case EPERM:
      return ErrorCode::kDenied;
    case ENOENT:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kExists;
    default:
      return fallback;
  }
}

tl::unexpected<Failure> fail_errno(std::string what, int os_error, ErrorCode fallback) {
  what.append(": ").append(std::strerror(os_error));
  return tl::unexpected<Failure>(
      Failure{code_of_errno(os_error, fallback), std::move(what), os_error, nullptr});
}

}  // namespace bgtask
