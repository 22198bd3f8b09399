#include "supervisor/program/foreground.h"

#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "protocol/io/safe_directory.h"
#include "protocol/taskdir/default_pool.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/launch.h"
#include "supervisor/program/startup.h"

extern char** environ;

namespace bgtask::supervisor {
namespace {

constexpr int kOwnFailure = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

constexpr char kUsage[] =
    "usage: bgtask-supervisor [options] -- COMMAND [ARGUMENT...]\n"
    "\n"
    "Runs COMMAND as a background task of which this process is the supervisor, staying in the\n"
    "foreground: for service managers. HUP, INT and TERM delete the task. To start a task and\n"
    "return at once, use 'bgtask run'.\n"
    "\n"
    "  --pool DIR           the pool (default: $BGTASK_POOL, for root /var/run/bgtask)\n"
    "  --name NAME          kept in the metadata as \"name\"\n"
    "  --buffer BYTES       capacity of each output ring (default 1048576)\n"
    "  --retain BYTES       consumed bytes that stay readable (default 0)\n"
    "  --stdin              give the command a pipe for stdin instead of /dev/null\n"
    "  --help, --version\n"
    "\n"
    "Example, in a systemd unit:\n"
    "  ExecStart=/usr/libexec/bgtask/bgtask-supervisor --pool /run/bgtask/app --name web -- "
    "/srv/web/server\n";

struct Options {
  wire::LaunchSpec spec;
  std::string pool;
};

int usage_error(const std::string& what) {
  std::fprintf(stderr, "bgtask-supervisor: %s; --help tells more\n", what.c_str());
  return kOwnFailure;
}

bool parse_size(const char* text, uint64_t& size) {
  char* end = nullptr;
  errno = 0;
  unsigned long long value = std::strtoull(text, &end, 10);
  if (*text == '\0' || *text == '-' || *end != '\0' || errno != 0 || value > uint64_t{1} << 40) return false;
  size = value;
  return true;
}

// Returns the status to exit with at once, or -1 to go on.
int parse(int argc, char** argv, Options& options) {
  enum : int { kPool = 1, kName, kBuffer, kRetain, kStdin, kHelp, kVersion };
  static const option kOptions[] = {
      {"pool", required_argument, nullptr, kPool},     {"name", required_argument, nullptr, kName},
      {"buffer", required_argument, nullptr, kBuffer}, {"retain", required_argument, nullptr, kRetain},
      {"stdin", no_argument, nullptr, kStdin},         {"help", no_argument, nullptr, kHelp},
      {"version", no_argument, nullptr, kVersion},     {nullptr, 0, nullptr, 0}};
  options.spec.stdin_pipe = false;
  options.pool = taskdir::default_pool().path;
  for (int found; (found = ::getopt_long(argc, argv, "+", kOptions, nullptr)) != -1;) {
    switch (found) {
      case kPool:
        options.pool = ::optarg;
        break;
      case kName:
        options.spec.meta["name"] = wire::bytes_value(::optarg);
        break;
      case kBuffer:
        if (!parse_size(::optarg, options.spec.buffer))
          return usage_error("--buffer takes a number of bytes");
        break;
      case kRetain:
        if (!parse_size(::optarg, options.spec.retain))
          return usage_error("--retain takes a number of bytes");
        break;
      case kStdin:
        options.spec.stdin_pipe = true;
        break;
      case kHelp:
        std::fputs(kUsage, stdout);
        return 0;
      case kVersion:
        std::puts("bgtask-supervisor " BGTASK_VERSION);
        return 0;
      default:
        return kOwnFailure;  // getopt has said what was wrong
    }
  }
  for (int i = ::optind; i < argc; ++i)
    options.spec.exec.emplace_back(argv[i]);
  if (options.spec.exec.empty()) return usage_error("no command given");
  return -1;
}

Status complete(Options& options) {
  for (char** entry = environ; *entry != nullptr; ++entry)
    options.spec.env.emplace_back(*entry);
  char* cwd = ::getcwd(nullptr, 0);
  if (cwd == nullptr) return fail_errno("cannot tell the current directory", errno);
  options.spec.cwd = cwd;
  std::free(cwd);
  options.spec.behavior = "foreground";
  char* path = ::realpath(options.pool.c_str(), nullptr);
  options.spec.pool_path = path != nullptr ? path : options.pool;
  std::free(path);
  return {};
}

int status_for(const Failure& failure) {
  if (failure.code != ErrorCode::kExecFailed) return kOwnFailure;
  return failure.os_error == ENOENT ? kNotFound : kNotExecutable;
}

// Started without them, descriptors of ours would take their numbers, and messages be written into those.
void occupy_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO)
    fd = ::open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) ::close(fd);
}

int complain(const Failure& failure) {
  std::fprintf(stderr, "bgtask-supervisor: %s\n", failure.message.c_str());
  return status_for(failure);
}

}  // namespace

int run_foreground(int argc, char** argv) {
  occupy_standard_descriptors();
  Options options;
  if (int status = parse(argc, argv, options); status >= 0) return status;
  if (Status completed = complete(options); !completed) return complain(completed.error());
  auto pool = io::open_safe_directory(options.pool);
  if (!pool) return complain(pool.error());
  Startup startup;
  startup.pool = std::move(*pool);
  // Descriptors of whoever started us are not the task's, and not ours to hold.
  ::close_range(3, static_cast<unsigned>(startup.pool.get()) - 1, CLOSE_RANGE_CLOEXEC);
  ::close_range(static_cast<unsigned>(startup.pool.get()) + 1, ~0U, 0);
  startup.original = become_supervisor_process();
  options.spec.umask = startup.original.umask;
  startup.spec = std::move(options.spec);
  if (Status named = have_token(startup); !named) return complain(named.error());
  int failed = 0;
  startup.report = [&failed](const Result<Json>& result) {
    if (!result) failed = complain(result.error());
  };
  ServicePtr service = begin(std::move(startup));
  if (!service) return failed;
  serve(std::move(service));
  return 0;
}

}  // namespace bgtask::supervisor
