// The closed set of error words. They are what programs branch on; the sentences beside them may change.
#pragma once

#include <optional>
#include <string_view>

namespace bgtask {

enum class ErrorCode {
  // Malformed requests: JSON-RPC's own codes.
  kParseError,      ///< -32700
  kInvalidRequest,  ///< -32600
  kUnknownMethod,   ///< -32601
  // Everything else is -32000 with the word in `data.error`.
  kNotFound,
  kExists,
  kDenied,
  kUnsafePool,
  kImpostor,
  kPathTooLong,
  kReadOnly,
  kNoSpace,
  kTooManyFiles,
  kProcessLimit,
  kNoMemory,
  kFileLimit,
  kExecFailed,
  kLocked,
  kBusy,
  kRunning,
  kAlreadyExited,
  kKillIncomplete,
  kStdinClosed,
  kWouldBlock,
  kLost,
  kUnresponsive,
  kTooSlow,
  kFrameTooLarge,
  kTooDeep,
  kFrameTimeout,
  kBadArgument,
  kVersionMismatch,
};

/// The word, e.g. "no_space". The three JSON-RPC ones are "parse_error", "invalid_request", "unknown_method".
std::string_view word(ErrorCode code);

/// The code for a word; nothing for a word this version does not know.
std::optional<ErrorCode> error_code(std::string_view word);

/// The number in a JSON-RPC error object.
int rpc_number(ErrorCode code);

/// Whether the failure is a shortage of the caller (descriptors, memory) and says nothing about the object
/// looked at.
constexpr bool is_own_shortage(ErrorCode code) {
  return code == ErrorCode::kTooManyFiles || code == ErrorCode::kNoMemory;
}

/// The most exact word for an errno, else `fallback`.
ErrorCode code_of_errno(int os_error, ErrorCode fallback);

}  // namespace bgtask
