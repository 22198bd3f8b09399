#include "pool/src/supervisor_path.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <vector>

namespace bgtask {
namespace {

constexpr char kProgram[] = "bgtask-supervisor";
constexpr char kCommandLine[] = "bgtask";

// 0, or why the file cannot be executed.
int cannot_execute(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// Beside a program, and where the supervisor lies in an installed tree relative to bin/: such a tree may have
// been moved, or installed with another prefix than it was configured for.
void add_near(std::vector<std::string>& places, const std::filesystem::path& program) {
  const std::filesystem::path directory = program.parent_path();
  for (const std::filesystem::path& place : {directory / kProgram, directory / BGTASK_SUPERVISOR_FROM_BIN}) {
    std::string name = place.lexically_normal().string();
    if (std::find(places.begin(), places.end(), name) == places.end()) places.push_back(std::move(name));
  }
}

std::vector<std::string> near_this_program() {
  std::vector<std::string> places;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) add_near(places, self);
  return places;
}

// Near the command line's program on the PATH: a program that only links the library lies anywhere.
// Directories without a leading '/' depend on the working directory, and are skipped.
std::vector<std::string> near_program_on_path() {
  const char* path = ::secure_getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "");
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (!directory.starts_with('/')) continue;
    const std::filesystem::path program = std::filesystem::path(directory) / kCommandLine;
    if (cannot_execute(program.string()) != 0) continue;
    std::vector<std::string> places;
    std::error_code error;
    const std::filesystem::path real = std::filesystem::canonical(program, error);  // it may be a link to it
    if (!error) add_near(places, real);
    add_near(places, program);
    return places;
  }
  return {};
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
  for (std::string& place : near_program_on_path())
    places.push_back(std::move(place));
  std::string tried;
  for (const std::string& place : places) {
    if (cannot_execute(place) == 0) return place;
    tried += (tried.empty() ? "tried '" : ", '") + place + "'";
  }
  return fail(supervisor_failure(installed, tried + "; set $BGTASK_SUPERVISOR to the supervisor's path",
                                 cannot_execute(installed)));
}

}  // namespace bgtask
