#include "tests/faults/fault_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace bgtask::faults {
namespace {

constexpr unsigned kUsualSeed = 20'261'121;

// Lines of strace: name(arguments) = result.
std::vector<SystemCall> recorded_calls(const std::filesystem::path& record) {
  std::vector<SystemCall> calls;
  std::map<std::string, int> counts;
  std::istringstream lines(e2e::read_whole(record));
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find('('));
    const bool is_call =
        name.size() < line.size() && !name.empty() && name.find_first_of(" <+") == std::string::npos;
    if (is_call) calls.push_back({name, ++counts[name]});
  }
  std::filesystem::remove(record);
  return calls;
}

}  // namespace

bool nightly() {
  const char* tier = std::getenv("BGTASK_FAULTS");
  return tier != nullptr && std::string(tier) == "nightly";
}

unsigned seed() {
  const char* given = std::getenv("BGTASK_SEED");
  const unsigned chosen =
      given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : kUsualSeed;
  testing::Test::RecordProperty("seed", std::to_string(chosen));
  return chosen;
}

void FaultTest::prepare_base(const std::filesystem::path& base) {
  if (mount_options().empty()) return;
  ASSERT_EQ(::mount("tmpfs", base.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, mount_options().c_str()), 0)
      << strerror(errno);
}

void FaultTest::release_base(const std::filesystem::path& base) {
  if (mount_options().empty()) return;
  EXPECT_EQ(::umount2(base.c_str(), MNT_DETACH), 0) << strerror(errno);
}

void FaultTest::SetUp() {
  self_before_ = footprint_of(::getpid());
  ASSERT_NO_FATAL_FAILURE(E2eTest::SetUp());
  if (!wants_bystander()) return;
  bystander_.emplace(awkward({"puppet"}, {.meta = {{"name", "bystander"}}}));
  // Measured after the first request, whose one-time allocations are no leak.
  ASSERT_EQ(bystander_->call("ping"), "pong");
  bystander_->disconnect();
  bystander_before_ = settled_footprint_of(bystander_->pid());
}

void FaultTest::expect_bystander_unharmed() {
  if (!bystander_) return;
  ASSERT_FALSE(e2e::gone(bystander_->pid())) << "the bystander's supervisor died";
  EXPECT_EQ(bystander_->info(true)["status"]["state"], "running");
  bystander_->disconnect();
  std::string differs;
  EXPECT_TRUE(eventually(
      [&] {
        differs = difference(bystander_before_, footprint_of(bystander_->pid()));
        return differs.empty();
      },
      Milliseconds(5'000)))
      << "the bystander's supervisor: " << differs;
}

void FaultTest::TearDown() {
  if (bystander_) {
    expect_bystander_unharmed();
    try {
      bystander_->remove({.grace = Seconds(0)});
    } catch (const Error& error) {
      ADD_FAILURE() << "the bystander cannot be removed: " << error.what();
    }
    bystander_.reset();
  }
  E2eTest::TearDown();
  EXPECT_TRUE(eventually([] { return other_processes().empty(); }, Milliseconds(10'000)))
      << "processes are left: " << testing::PrintToString(other_processes());
  EXPECT_TRUE(eventually([] { return named_sockets().empty(); }, Milliseconds(5'000)))
      << "sockets are left: " << testing::PrintToString(named_sockets());
  if (control_ != nullptr) ::munmap(control_, sizeof *control_);
  Footprint now = footprint_of(::getpid());
  now.resident_kib = self_before_.resident_kib;  // the test's own data does not count
  EXPECT_EQ(difference(self_before_, now), "") << "of the calling process";
}

TaskPool FaultTest::traced(std::vector<std::string> strace_options) const {
  PoolOptions options = pool_options();
  // -D: the tracer is a grandchild, so that the supervisor is the process that was launched.
  std::vector<std::string> command = {"/usr/bin/strace", "-D", "-qqq"};
  bool has_output = false;
  for (const std::string& option : strace_options)
    has_output |= option == "-o";
  if (!has_output) command.insert(command.end(), {"-o", "/dev/null"});
  command.insert(command.end(), strace_options.begin(), strace_options.end());
  command.insert(command.end(), options.supervisor_command.begin(), options.supervisor_command.end());
  options.supervisor_command = std::move(command);
  return TaskPool(pool().path(), options);
}

std::vector<SystemCall> FaultTest::calls_made(const std::function<void(const TaskPool&)>& act) const {
  const std::filesystem::path record = base() / "strace.txt";
  act(traced({"-o", record.string(), "-e", "signal=none"}));
  EXPECT_TRUE(eventually([&] { return other_processes().size() <= (bystander_ ? 2u : 0u); }))
      << "the tracer ends";
  return recorded_calls(record);
}

std::vector<SystemCall> FaultTest::calls_made_by(pid_t supervisor, const std::function<void()>& act) const {
  const std::filesystem::path record = base() / "strace.txt";
  {
    const Attached tracer(supervisor, {"-o", record.string(), "-e", "signal=none"});
    act();
  }
  return recorded_calls(record);
}

TaskPool FaultTest::controlled() {
  const std::filesystem::path file = base() / "control";
  if (control_ == nullptr) {
    e2e::write_whole(file, std::string(sizeof(PreloadControl), '\0'));
    const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
    void* mapped = ::mmap(nullptr, sizeof(PreloadControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (mapped == MAP_FAILED) throw std::runtime_error("cannot map the control file");
    control_ = static_cast<PreloadControl*>(mapped);
    control_->allocations_left = -1;
  }
  PoolOptions options = pool_options();
  options.supervisor_command = {BGTASK_DYNAMIC_SUPERVISOR};
  options.supervisor_env["LD_PRELOAD"] = BGTASK_PRELOAD;
  options.supervisor_env[kControlVariable] = file.string();
  return TaskPool(pool().path(), options);
}

void FaultTest::remount(const std::string& options) const {
  const bool read_only = options == "ro";
  const unsigned long flags = MS_REMOUNT | MS_NOSUID | MS_NODEV | (read_only ? MS_RDONLY : 0);
  ASSERT_EQ(::mount(nullptr, base().c_str(), nullptr, flags, read_only ? nullptr : options.c_str()), 0)
      << strerror(errno);
}

void FaultTest::fill_up(off_t leave) const {
  const std::filesystem::path filler = base() / "filler";
  const int fd = ::open(filler.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  // Other tasks change the number while it is read.
  EXPECT_TRUE(eventually([&] {
    struct statvfs fs {};
    struct stat now {};
    if (::statvfs(base().c_str(), &fs) != 0 || ::fstat(fd, &now) != 0) return false;
    const off_t free = static_cast<off_t>(fs.f_bavail * fs.f_frsize);
    return free <= leave || ::posix_fallocate(fd, now.st_size, free - leave) == 0;
  }));
  ::close(fd);
}

void FaultTest::free_up() const {
  std::filesystem::remove(base() / "filler");
}

void FaultTest::choose_next_pid(pid_t pid) {
  const int fd = ::open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
  const std::string text = std::to_string(pid - 1);
  ASSERT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(fd);
}

Attached::Attached(pid_t pid, std::vector<std::string> strace_options) {
  // The last -o wins.
  std::vector<std::string> command = {"strace", "-qqq", "-o", "/dev/null", "-p", std::to_string(pid)};
  command.insert(command.end(), strace_options.begin(), strace_options.end());
  std::vector<char*> argv;
  for (std::string& word : command)
    argv.push_back(word.data());
  argv.push_back(nullptr);
  strace_ = ::fork();
  if (strace_ == 0) {
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  // The injected fault may have ended the process at once.
  EXPECT_TRUE(eventually([&] { return e2e::gone(pid) || e2e::process_number(pid, "TracerPid") == strace_; }))
      << "strace attaches";
  // strace becomes the tracer a moment before it interrupts the process, which runs untraced until then. Once
  // strace waits for the process, it has been interrupted.
  EXPECT_TRUE(eventually([&] { return e2e::gone(pid) || e2e::process_state(strace_) == 'S'; }))
      << "strace looks on";
}

Attached::~Attached() {
  ::kill(strace_, SIGTERM);  // it detaches and ends
  ::waitpid(strace_, nullptr, 0);
}

}  // namespace bgtask::faults
