// From the options of `run` to what the library is asked to spawn.
#pragma once

#include <bgtask/task_pool.h>

#include <string>

namespace bgtask::cli {

/// "K=V" sets, "K" takes the caller's value if it has one. \throws UsageError
void add_environment(SpawnOptions& options, const std::string& text);
/// A file of such lines; see parse_environment_file. \throws UsageError
void add_environment_file(SpawnOptions& options, const std::string& path);
/// "k=v" (see parse_assignment) or a JSON object. \throws UsageError
void add_meta(SpawnOptions& options, const std::string& text);
/// "k=JSON". \throws UsageError
void add_meta_json(SpawnOptions& options, const std::string& text);
/// "nofile=4096" or "nofile=4096:8192" (soft:hard); sizes, or "unlimited". \throws UsageError
void add_limit(SpawnOptions& options, const std::string& text);
/// Octal. \throws UsageError
mode_t parse_umask(const std::string& text);
/// A number of processors above 0, e.g. "1.5". \throws UsageError
double parse_cpus(const std::string& text);
/// -20 to 19 and beyond: added to the caller's. \throws UsageError
int parse_nice(const std::string& text);

}  // namespace bgtask::cli
