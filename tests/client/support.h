// Pools built by hand, and supervisors that answer by a script.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "client/src/task_directory.h"
#include "protocol/io/unique_fd.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/json.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/message.h"

namespace bgtask::test {

inline constexpr uid_t kNobody = 65534;

/// A status document as a supervisor publishes it.
Json status_document(pid_t id, Json child_pid = nullptr, const std::string& state = "running");
/// Makes `document` name the living process `child`, as its supervisor would have.
void name_child(Json& document, pid_t child);

/// A fresh private pool, removed at the end.
class PoolTest : public ::testing::Test {
 protected:
  PoolTest();
  ~PoolTest() override;

  const std::filesystem::path& path() const { return path_; }
  PoolDirectory pool() const;
  std::filesystem::path task_path(pid_t id) const { return path_ / std::to_string(id); }

  /// POOL/ID with a lock file that nobody holds and, unless it is null, a status.
  void make_task(pid_t id, const Json& status = nullptr);
  /// As long as this lives, the task's supervisor is alive.
  io::UniqueFd hold_lock(pid_t id) const;
  /// Ring files with these bytes; `consumed` of stdout's are consumed already.
  void make_rings(pid_t id, std::string_view out, std::string_view err = {}, std::uint64_t consumed = 0);
  void write_file(const std::filesystem::path& file, std::string_view content) const;

 private:
  std::filesystem::path path_;
};

/// The server's end of one accepted connection.
class Peer {
 public:
  explicit Peer(io::UniqueFd fd);
  /// The next request; a null document at the end.
  Json request();
  void send(std::string_view bytes);
  void reply(const Json& request, Json result);
  void fail(const Json& request, const Json& error_data);
  void event(Json params);
  void close() { fd_.reset(); }
  bool open() const { return static_cast<bool>(fd_); }
  bool closed_by_client() const;
  /// Waits for the client to close.
  void wait_for_close();

 private:
  io::UniqueFd fd_;
  std::unique_ptr<wire::Framer> framer_;
};

/// Listens on a task's socket and gives each connection to `serve`, one after the other, until destroyed.
class FakeServer {
 public:
  FakeServer(const std::filesystem::path& task_path, std::function<void(Peer&)> serve);
  ~FakeServer();

 private:
  void run();
  io::UniqueFd listener_;
  io::UniqueFd stop_;
  std::function<void(Peer&)> serve_;
  std::thread thread_;
};

/// Answers each request by method; methods without an answer get an empty object.
std::function<void(Peer&)> answering(std::map<std::string, Json> answers);

/// Runs `body` in a forked child, as user `uid` if given, and returns what it returned. -1 if it did not.
int in_child(const std::function<int()>& body, uid_t uid = 0);

/// A process that does nothing until it is killed; reaped on destruction.
class Sleeper {
 public:
  Sleeper();
  ~Sleeper() { stop(); }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  pid_t pid() const { return pid_; }
  void kill();  ///< leaves a zombie
  void stop();

 private:
  pid_t pid_ = -1;
};

double seconds_since(std::chrono::steady_clock::time_point start);

/// The word of the Error that `body` throws; "" if it throws none.
std::string error_of(const std::function<void()>& body);

}  // namespace bgtask::test
