#include "pool/src/supervisor_path.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

namespace bgtask {
namespace {

constexpr char kProgram[] = "bgtask-supervisor";

// 0, or why the file cannot be executed.
int cannot_execute(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// Beside the running program, and where it lies in an installed tree relative to bin/: such a tree may have
// been moved, or installed with another prefix than it was configured for.
std::vector<std::string> near_this_program() {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  std::filesystem::path directory = self.parent_path();
  return {(directory / kProgram).string(), (directory.parent_path() / "libexec/bgtask" / kProgram).string()};
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
  std::string installed = BGTASK_INSTALLED_SUPERVISOR;
  std::vector<std::string> places = near_this_program();
  places.push_back(installed);
  std::string tried;
  for (const std::string& place : places) {
    if (cannot_execute(place) == 0) return place;
    tried += (tried.empty() ? "tried '" : ", '") + place + "'";
  }
  return fail(supervisor_failure(installed, tried + "; set $BGTASK_SUPERVISOR to the supervisor's path",
                                 cannot_execute(installed)));
}

}  // namespace bgtask
