// Why a command could not be executed, where the system's word for it misleads.
#pragma once

#include <bgtask/task_pool.h>

#include <optional>
#include <string>
#include <string_view>

namespace bgtask::cli {

/// The file that a command's first word means.
struct CommandFile {
  std::string head;  ///< its first bytes; empty if it cannot be read
  bool directory = false;
  bool executable = false;  ///< some bit of its mode says so
};

/// What to say about a command whose exec failed with `os_error`: a missing interpreter, a script without #!,
/// a whole command line or K=V in the place of a program. `file` is nothing where there is no such file.
/// Empty where there is nothing to add.
std::string exec_hint(const std::string& word, const std::optional<CommandFile>& file, int os_error);

/// The same for a spawn that failed; looks at the file.
std::string exec_hint(const SpawnOptions& options, int os_error);

}  // namespace bgtask::cli
