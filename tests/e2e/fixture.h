// What every end-to-end test stands on: a private pool, real programs, raw sockets, and an oracle at the end
// that nothing is left behind.
#pragma once

#include <bgtask/bgtask.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bgtask::e2e {

using Milliseconds = std::chrono::milliseconds;
inline constexpr Milliseconds kPatience{30'000};
/// A grace for what ends by TERM: longer than any machine is out of breath.
inline constexpr Seconds kNoHurry{60};

/// Asks again and again until the condition holds; false if it never did.
bool eventually(const std::function<bool()>& condition, Milliseconds deadline = kPatience);

struct ProgramResult {
  int status = -1;  ///< exit code, or 128 + signal
  std::string out, err;
};
struct ProgramOptions {
  std::string input = {};
  std::map<std::string, std::string> env = {};  ///< added to ours
  Milliseconds deadline{100'000};
};
/// Runs a program to its end (it is killed at the deadline).
ProgramResult run_program(const std::vector<std::string>& argv, const ProgramOptions& options = {});

/// Runs `body` in a forked process. What it returns comes back as `out`; an exception as `err`, with
/// status 99.
ProgramResult in_child(const std::function<std::string()>& body);
/// The same as another user, without any of root's groups or capabilities.
ProgramResult as_user(uid_t uid, const std::function<std::string()>& body);

/// The letter of /proc/PID/stat; 0 if there is no such process.
char process_state(pid_t pid);
/// Whether it waits, or is stopped. One that is runnable has not done yet what it was woken for.
bool at_rest(pid_t pid);
/// Neither alive nor a stopped; a zombie counts as gone.
bool gone(pid_t pid);
pid_t parent_of(pid_t pid);
std::vector<pid_t> children_of(pid_t pid);
std::vector<pid_t> descendants(pid_t pid);
/// A number of /proc/PID/status, e.g. "voluntary_ctxt_switches" or "VmHWM" (KiB).
int64_t process_number(pid_t pid, const std::string& field);
/// Sends a signal to a process by pidfd; false if it is gone.
bool send_signal(pid_t pid, int signal);

std::string read_whole(const std::filesystem::path& file);
void write_whole(const std::filesystem::path& file, std::string_view content);
/// All names in a directory, hidden ones too.
std::vector<std::string> names_in(const std::filesystem::path& directory);
/// How many descriptors this process has open.
size_t open_fd_count();

std::string base64_decode(std::string_view text);
std::string base64_encode(std::string_view bytes);

/// The error a call throws; an empty one (and a failed test) if it throws none.
Error error_of(const std::function<void()>& call);

enum class Encoding { kJson, kMsgpack };
std::string encoding_name(Encoding encoding);

/// Bytes as a request carries them in an encoding, and as a reply brings them.
Json bytes_value(std::string_view bytes, Encoding encoding);
std::string bytes_of(const Json& value);

/// A client that knows nothing but docs/protocol.md and can misbehave as a test needs.
class RawClient {
 public:
  explicit RawClient(const std::filesystem::path& socket_path, Encoding encoding = Encoding::kJson);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  /// Sends bytes; false if the peer closed before it had them all.
  bool send(std::string_view bytes);
  void half_close();
  /// One request; the id is returned. `id` null is replaced by a number of our own.
  Json request(std::string_view method, Json params = Json::object(), Json id = nullptr);
  std::string encode(const Json& document) const;
  /// The next message, whatever it is; nothing on EOF or when the deadline has passed.
  std::optional<Json> receive(Milliseconds deadline = kPatience);
  /// Sends a request and returns its reply; what came in between is kept in `events`.
  Json call(std::string_view method, Json params = Json::object());
  /// call(), and its result; a failed test and null if it was an error.
  Json result(std::string_view method, Json params = Json::object());
  /// Whether the peer closes (what it sends meanwhile is thrown away).
  bool closed_by_peer(Milliseconds deadline = kPatience);

  std::vector<Json> events;

 private:
  bool fill(std::chrono::steady_clock::time_point deadline);
  std::optional<Json> take();
  int fd_ = -1;
  Encoding encoding_;
  std::string buffer_;
  bool eof_ = false;
  int64_t next_id_ = 1;
};

/// The word of an error reply; "" if it is none.
std::string error_word(const Json& reply);

class E2eTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  /// For tests that want the directory of the test to be something special.
  virtual void prepare_base(const std::filesystem::path&) {}
  virtual void release_base(const std::filesystem::path&) {}

  const TaskPool& pool() const { return *pool_; }
  /// A directory of this test alone, beside the pool.
  const std::filesystem::path& base() const { return base_; }
  PoolOptions pool_options() const;

  Task spawn(SpawnOptions options) const { return pool().spawn(options); }
  Task shell(const std::string& cmd, SpawnOptions options = {}) const;
  Task awkward(std::vector<std::string> args, SpawnOptions options = {}) const;
  std::vector<std::string> awkward_command(std::vector<std::string> args) const;
  /// The bgtask program with this pool.
  ProgramResult bgtask(std::vector<std::string> args, ProgramOptions options = {}) const;

  std::filesystem::path directory_of(const Task& task) const;
  std::filesystem::path socket_of(const Task& task) const;
  std::filesystem::path make_fifo(const std::string& name) const;

  /// Waits for the end of the child; the status of it.
  Json wait_exit(Task& task) const;
  /// Waits for all output to have come.
  void wait_eof(Task& task) const;
  /// Waits until a stream has so many bytes (messages), ever.
  bool wait_limit(Task& task, const std::string& stream, uint64_t limit) const;
  pid_t child_of(Task& task) const;
  /// "role pid" lines of `awkward family`, once there are `count` of them and all of them sleep.
  std::map<std::string, pid_t> family_of(Task& task, size_t count) const;

  /// Living processes that this test started, directly or not.
  std::vector<pid_t> own_processes() const;
  /// A copy of a program where every user can run it.
  std::filesystem::path public_copy(const std::string& program) const;
  /// Kills a supervisor and waits until it is gone.
  void kill_supervisor(const Task& task) const;

 private:
  void end_tasks();
  std::filesystem::path base_;
  mutable std::vector<std::filesystem::path> elsewhere_;
  std::optional<TaskPool> pool_;
};

}  // namespace bgtask::e2e
