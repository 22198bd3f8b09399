/// \file
/// The one exception type of the library.
#pragma once

#include <bgtask/json.h>

#include <stdexcept>
#include <string>

namespace bgtask {

/// Thrown by every function of the library that cannot do what it was asked to.
///
/// Branch on code(), a word of a closed set that stays the same between versions: not_found exists denied
/// unsafe_pool impostor path_too_long read_only no_space too_many_files process_limit no_memory file_limit
/// exec_failed locked busy running already_exited kill_incomplete stdin_closed would_block lost unresponsive
/// too_slow frame_too_large too_deep frame_timeout bad_argument version_mismatch, and for malformed requests
/// parse_error invalid_request unknown_method. A word of a newer supervisor arrives unchanged.
///
/// \code
/// try {
///   bgtask::Task(pid).kill("TERM");
/// } catch (const bgtask::Error& e) {
///   if (e.code() != "already_exited") throw;
/// }
/// \endcode
class Error : public std::runtime_error {
 public:
  /// An empty error (code() is empty): what Task::connect(Error&) leaves when it succeeds.
  Error() : std::runtime_error("") {}
  Error(std::string code, const std::string& message, int os_error = 0, Json data = nullptr)
      : std::runtime_error(message), code_(std::move(code)), os_error_(os_error), data_(std::move(data)) {}

  /// The word for programs, e.g. "exec_failed".
  const std::string& code() const noexcept { return code_; }
  /// The errno behind it, or 0. For a command that could not be executed: ENOENT, EACCES, E2BIG, …
  int os_error() const noexcept { return os_error_; }
  /// Whether the same call may succeed later without anything being changed: busy, unresponsive, would_block,
  /// and shortages (no_space, too_many_files, process_limit, no_memory).
  bool retryable() const noexcept;
  /// Details of the error reply, e.g. {"survivors": [pids]} with kill_incomplete; null if there are none.
  const Json& data() const noexcept { return data_; }

 private:
  std::string code_;
  int os_error_ = 0;
  Json data_;
};

}  // namespace bgtask
