#include "pool/src/supervisor_path.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace bgtask {
namespace {

constexpr char kProgram[] = "bgtask-supervisor";

// 0, or why the file cannot be executed.
int cannot_execute(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

std::string beside_this_program() {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string() : (self.parent_path() / kProgram).string();
}

}  // namespace

Failure supervisor_failure(const std::string& path, const std::string& why, int os_error) {
  std::string message = "cannot start the supervisor '" + path + "': " + std::strerror(os_error);
  if (!why.empty()) message += "; " + why;
  return Failure{ErrorCode::kExecFailed, std::move(message), os_error, Json{{"supervisor", path}}};
}

Result<std::string> find_supervisor() {
  // A program with more rights than its caller must not run what the caller names.
  if (const char* named = ::secure_getenv("BGTASK_SUPERVISOR"); named != nullptr && *named != '\0') {
    if (int error = cannot_execute(named))
      return fail(supervisor_failure(named, "$BGTASK_SUPERVISOR names it", error));
    return std::string(named);
  }
  std::string beside = beside_this_program();
  if (!beside.empty() && cannot_execute(beside) == 0) return beside;
  std::string installed = BGTASK_INSTALLED_SUPERVISOR;
  int error = cannot_execute(installed);
  if (error == 0) return installed;
  std::string why =
      "tried '" + beside + "' and '" + installed + "'; set $BGTASK_SUPERVISOR to the supervisor's path";
  return fail(supervisor_failure(installed, why, error));
}

}  // namespace bgtask
