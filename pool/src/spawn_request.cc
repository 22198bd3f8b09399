#include "pool/src/spawn_request.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string_view>

#include "pool/src/user.h"
#include "protocol/io/files.h"
#include "protocol/io/random_token.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/methods.h"
#include "protocol/wire/signals.h"

namespace bgtask {
namespace {

// The kernel's smallest quota is a millisecond in its period of 100 (kernel/sched/core.c,
// tg_set_cfs_bandwidth).
constexpr double kMinCpus = 0.01, kMaxCpus = 100'000;
constexpr int kNiceSpan = 40;  // from one end of the scale to the other: more cannot be added or taken away

// What the supervisor sets itself; those of a task that spawns another must not shine through.
constexpr std::string_view kOwnVariables[] = {"BGTASK_PID", "BGTASK_SUPERVISOR_PID", "BGTASK_POOL",
                                              "BGTASK_DATA_FD", "BGTASK_TOKEN"};

tl::unexpected<Failure> bad(const std::string& option, const std::string& why) {
  return fail(ErrorCode::kBadArgument, option + ": " + why);
}

tl::unexpected<Failure> bad(const std::string& option, const std::string& why, int os_error) {
  return fail(Failure{ErrorCode::kBadArgument, option + ": " + why + ": " + std::strerror(os_error), os_error,
                      nullptr});
}

Status no_nul(const std::string& option, std::string_view text) {
  if (text.find('\0') == std::string_view::npos) return {};
  return bad(option, "a NUL byte cannot be passed on");
}

Result<std::vector<std::string>> command(const SpawnOptions& options) {
  if (options.exec.empty() && options.cmd.empty())
    return bad("exec", "nothing to run: 'exec' or 'cmd' is needed");
  if (!options.exec.empty() && !options.cmd.empty())
    return bad("cmd", "only one of 'exec' and 'cmd' can be given");
  if (!options.cmd.empty()) {
    if (Status ok = no_nul("cmd", options.cmd); !ok) return fail(std::move(ok.error()));
    return std::vector<std::string>{"/bin/sh", "-c", options.cmd};
  }
  if (options.exec[0].empty()) return bad("exec", "the program's name is empty");
  for (const std::string& argument : options.exec) {
    if (Status ok = no_nul("exec", argument); !ok) return fail(std::move(ok.error()));
  }
  return options.exec;
}

Status check_env(const std::map<std::string, std::string>& env) {
  for (const auto& [name, value] : env) {
    if (name.empty()) return bad("env", "a variable's name is empty");
    if (name.find('=') != std::string::npos) return bad("env", "'=' in the name of variable '" + name + "'");
    if (Status ok = no_nul("env", name); !ok) return ok;
    if (Status ok = no_nul("env", value); !ok) return ok;
  }
  return {};
}

bool is_own_variable(std::string_view name) {
  return std::find(std::begin(kOwnVariables), std::end(kOwnVariables), name) != std::end(kOwnVariables);
}

// `users`: variables that follow the user, unless the options have them.
std::vector<std::string> environment(const SpawnOptions& options, std::map<std::string, std::string> users) {
  std::map<std::string, std::string> added = options.env;
  added.merge(users);
  std::vector<std::string> result;
  for (char** entry = environ; !options.clear_env && entry != nullptr && *entry != nullptr; ++entry) {
    std::string name(*entry, ::strcspn(*entry, "="));
    if (!is_own_variable(name) && added.find(name) == added.end()) result.emplace_back(*entry);
  }
  for (const auto& [name, value] : added) {
    if (!is_own_variable(name)) result.push_back(name + "=" + value);
  }
  return result;
}

// `path` against the caller's cwd; its own components are left as they are, for ".." may lead through a
// symlink.
Result<std::string> absolute(const std::string& option, const std::string& path) {
  if (Status ok = no_nul(option, path); !ok) return fail(std::move(ok.error()));
  if (!path.empty() && path[0] == '/') return path;
  std::unique_ptr<char, decltype(&::free)> here(::getcwd(nullptr, 0), ::free);
  if (!here) return bad(option, "the current directory cannot be determined", errno);
  if (here.get()[0] != '/') return bad(option, "the current directory cannot be reached from '/'", ENOENT);
  std::string result = here.get();
  if (path.empty()) return result;
  if (result.back() != '/') result += '/';
  return result + path;
}

// Asking umask(2) would change it for a moment, under the eyes of all other threads.
Result<mode_t> callers_umask() {
  constexpr std::string_view kField = "\nUmask:";
  constexpr size_t kEnough = 64 * 1024;
  io::UniqueFd fd(::open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC));
  if (!fd) return io::fail_in_proc("cannot tell the caller's umask", errno);
  Result<std::string> text = io::read_all(fd.get(), kEnough);
  if (!text) return fail(std::move(text.error()));
  size_t at = text->find(kField);
  if (at == std::string::npos) return bad("umask", "/proc does not tell the caller's; give one");
  return static_cast<mode_t>(std::strtoul(text->c_str() + at + kField.size(), nullptr, 8));
}

Result<mode_t> umask_for(const SpawnOptions& options) {
  if (!options.umask) return callers_umask();
  if (*options.umask > 0777) return bad("umask", "must be 0 to 0777 (octal)");
  return *options.umask;
}

Status put_limits(const SpawnOptions& options, wire::LaunchSpec* spec) {
  for (const auto& [name, limit] : options.limits) {
    std::string option = "limits." + name;
    if (!wire::resource_number(name)) return bad(option, "no such resource limit");
    if (limit.soft > limit.hard) return bad(option, "the soft limit is above the hard one");
    spec->limits[name] = {limit.soft, limit.hard};
  }
  return {};
}

// Whether nothing in `value` lies deeper than `levels`; looks no further down than that.
bool is_within(const Json& value, size_t levels) {
  if (!value.is_structured()) return true;
  if (levels == 0) return false;
  for (const Json& child : value) {
    if (!is_within(child, levels - 1)) return false;
  }
  return true;
}

Status check_meta(const Json& meta) {
  // A request carries meta two levels down; what could not be applied later cannot be had from the start
  // either.
  constexpr size_t kMaxLevels = wire::kMaxDepth - 2;
  if (!meta.is_object()) return bad("meta", "must be an object");
  if (!is_within(meta, kMaxLevels))
    return bad("meta", "nested more than " + std::to_string(kMaxLevels) + " levels deep");
  size_t size = wire::encode_json(meta).size();
  if (size <= wire::kMaxMeta) return {};
  return bad("meta", std::to_string(size) + " bytes encoded; at most " + std::to_string(wire::kMaxMeta) +
                         " are taken");
}

Status check_numbers(const SpawnOptions& options) {
  if (options.buffer == 0 || options.buffer > kMaxRing) return bad("buffer", "must be 1 to 2^40 bytes");
  if (options.retain_output > kMaxRing) return bad("retain_output", "must be 0 to 2^40 bytes");
  if (options.nice < -kNiceSpan || options.nice > kNiceSpan) return bad("nice", "must be -40 to 40");
  return {};
}

Result<const char*> behavior_name(Behavior behavior) {
  switch (behavior) {
    case Behavior::kDaemon:
      return "daemon";
    case Behavior::kBackground:
      return "background";
    case Behavior::kForeground:
      return "foreground";
  }
  return bad("behavior", "no such behavior");
}

Status put_surroundings(const SpawnOptions& options, wire::LaunchSpec* spec) {
  if (Status ok = check_env(options.env); !ok) return ok;
  Result<std::string> cwd = absolute("cwd", options.cwd);
  if (!cwd) return fail(std::move(cwd.error()));
  spec->cwd = *std::move(cwd);
  Result<mode_t> umask = umask_for(options);
  if (!umask) return fail(std::move(umask.error()));
  spec->umask = *umask;
  if (Status ok = no_nul("user", options.user); !ok) return ok;
  Result<std::optional<ChosenUser>> user = resolve_user(options.user);
  if (!user) return fail(std::move(user.error()));
  if (*user) spec->user = (*user)->spec;
  spec->env = environment(options, *user ? (*user)->environment : std::map<std::string, std::string>());
  spec->nice = options.nice;
  return put_limits(options, spec);
}

Status put_keeping(const SpawnOptions& options, wire::LaunchSpec* spec) {
  if (Status ok = check_meta(options.meta); !ok) return ok;
  spec->stdin_pipe = options.stdin == StdinMode::kPipe;
  spec->meta = options.meta;
  spec->buffer = options.buffer;
  spec->retain = options.retain_output;
  spec->overflow_block = options.overflow == Overflow::kBlock;
  spec->rings_in_memory = options.rings == Rings::kMemory;
  return {};
}

Status put_stop_plan(const SpawnOptions& options, wire::LaunchSpec* spec) {
  if (options.timeout) {
    spec->timeout = options.timeout->count();
    if (!(*spec->timeout > 0 && *spec->timeout <= wire::kMaxSeconds))
      return bad("timeout", "must be more than 0 s and at most 3200000000 s");
  }
  if (options.stop_grace) {
    spec->stop_grace = options.stop_grace->count();
    if (!(*spec->stop_grace >= 0 && *spec->stop_grace <= wire::kMaxSeconds))
      return bad("stop_grace", "must be 0 s to 3200000000 s");
  }
  const std::optional<int> signal =
      std::visit([](const auto& value) { return wire::signal_number(Json(value)); }, options.stop_signal);
  if (!signal)
    return bad("stop_signal", "no such signal; a name like \"TERM\" or a number 1 to 64 is needed");
  spec->stop_signal = *signal;
  return {};
}

Status put_life(const SpawnOptions& options, wire::LaunchSpec* spec) {
  Result<const char*> behavior = behavior_name(options.behavior);
  if (!behavior) return fail(std::move(behavior.error()));
  spec->behavior = *behavior;
  spec->kill_on_supervisor_death = options.on_supervisor_death == OnSupervisorDeath::kKill;
  if (!(options.cpus >= 0 && options.cpus <= kMaxCpus))
    return bad("cpus", "a number from 0.01 to 100000 is needed");
  if (options.cpus != 0 && options.cpus < kMinCpus)
    return bad("cpus", "a number from 0.01 to 100000 is needed");
  spec->memory = options.memory;
  spec->cpus = options.cpus;
  if (Status ok = no_nul("share_with", options.share_with); !ok) return ok;
  Result<std::optional<wire::GroupSpec>> group = resolve_group(options.share_with);
  if (!group) return fail(std::move(group.error()));
  spec->share_with = *std::move(group);
  if (Status ok = put_stop_plan(options, spec); !ok) return ok;
  if (options.lock_file.empty()) return {};
  Result<std::string> lock_file = absolute("lock_file", options.lock_file);
  if (!lock_file) return fail(std::move(lock_file.error()));
  spec->lock_file = *std::move(lock_file);
  return {};
}

}  // namespace

Result<wire::LaunchSpec> spawn_request(const SpawnOptions& options, const std::filesystem::path& pool_path) {
  wire::LaunchSpec spec;
  Result<std::vector<std::string>> exec = command(options);
  if (!exec) return fail(std::move(exec.error()));
  spec.exec = *std::move(exec);
  spec.pool_path = pool_path.string();
  Result<std::string> token = io::random_token();
  if (!token) return fail(std::move(token.error()));
  spec.token = *std::move(token);
  if (Status ok = check_numbers(options); !ok) return fail(std::move(ok.error()));
  if (Status ok = put_surroundings(options, &spec); !ok) return fail(std::move(ok.error()));
  if (Status ok = put_keeping(options, &spec); !ok) return fail(std::move(ok.error()));
  if (Status ok = put_life(options, &spec); !ok) return fail(std::move(ok.error()));
  return spec;
}

}  // namespace bgtask
