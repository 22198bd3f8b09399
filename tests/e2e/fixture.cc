#include "tests/e2e/fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "protocol/io/pidfd.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace bgtask::e2e {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<Milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000));
}

void set_close_on_exec_pipe(int (&ends)[2]) {
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
}

/// Feeds a child's stdin and empties its stdout and stderr until all of them are closed.
bool converse(int in, int out, int err, std::string_view input, ProgramResult& result,
              Clock::time_point deadline) {
  fcntl(in, F_SETFL, O_NONBLOCK);
  if (input.empty()) close(std::exchange(in, -1));
  while (out >= 0 || err >= 0) {
    pollfd fds[] = {{out, POLLIN, 0}, {err, POLLIN, 0}, {in, POLLOUT, 0}};
    if (poll(fds, 3, milliseconds_until(deadline)) <= 0) break;
    if (fds[2].revents != 0) {
      const ssize_t n = write(in, input.data(), input.size());
      if (n > 0) input.remove_prefix(static_cast<size_t>(n));
      if (input.empty() || (n < 0 && errno != EAGAIN)) close(std::exchange(in, -1));
    }
    char buffer[64 * 1024];
    const auto drain = [&buffer](int& fd, short revents, std::string& text) {
      if (revents == 0) return;
      const ssize_t n = read(fd, buffer, sizeof buffer);
      if (n > 0) text.append(buffer, static_cast<size_t>(n));
      if (n <= 0) close(std::exchange(fd, -1));
    };
    drain(out, fds[0].revents, result.out);
    drain(err, fds[1].revents, result.err);
  }
  const bool all = out < 0 && err < 0;
  for (int fd : {in, out, err}) {
    if (fd >= 0) close(fd);
  }
  return all;
}

int status_of(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Forks; the child runs `body` with its stdio on pipes and never returns.
ProgramResult fork_and_converse(const std::function<void()>& body, std::string_view input,
                                Milliseconds patience) {
  int in[2], out[2], err[2];
  set_close_on_exec_pipe(in);
  set_close_on_exec_pipe(out);
  set_close_on_exec_pipe(err);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    body();
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  struct sigaction ignore {
  }, before{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &before);
  ProgramResult result;
  if (!converse(in[1], out[0], err[0], input, result, Clock::now() + patience)) {
    kill(pid, SIGKILL);  // ours and not yet reaped
    result.err += "\n[killed at the test's deadline]";
  }
  result.status = status_of(pid);
  sigaction(SIGPIPE, &before, nullptr);
  return result;
}

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0) pids.push_back(pid);
  }
  return pids;
}

}  // namespace

bool eventually(const std::function<bool()>& condition, Milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  constexpr timespec kPause{0, 4'000'000};
  while (!condition()) {
    if (Clock::now() > end) return false;
    nanosleep(&kPause, nullptr);
  }
  return true;
}

ProgramResult run_program(const std::vector<std::string>& argv, const ProgramOptions& options) {
  const auto exec = [&] {
    for (const auto& pair : options.env)
      setenv(pair.first.c_str(), pair.second.c_str(), 1);
    std::vector<char*> pointers;
    for (const std::string& arg : argv)
      pointers.push_back(const_cast<char*>(arg.c_str()));
    pointers.push_back(nullptr);
    execvp(pointers[0], pointers.data());
  };
  return fork_and_converse(exec, options.input, options.deadline);
}

ProgramResult in_child(const std::function<std::string()>& body) {
  int report[2];
  set_close_on_exec_pipe(report);
  // A descriptor far above the ones that a body may want to close or open.
  const int reporter = fcntl(report[1], F_DUPFD_CLOEXEC, 900);
  close(report[1]);
  const pid_t pid = fork();
  if (pid == 0) {
    close(report[0]);
    int code = 0;
    std::string text;
    try {
      text = body();
    } catch (const std::exception& e) {
      text = e.what();
      code = 99;
    }
    signal(SIGPIPE, SIG_IGN);
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t n = write(reporter, rest.data(), rest.size());
      if (n <= 0) break;
      rest.remove_prefix(static_cast<size_t>(n));
    }
    _exit(code);
  }
  close(reporter);
  std::string text;
  char buffer[64 * 1024];
  for (ssize_t n; (n = read(report[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  close(report[0]);
  ProgramResult result;
  result.status = status_of(pid);
  (result.status == 99 ? result.err : result.out) = text;
  return result;
}

ProgramResult as_user(uid_t uid, const std::function<std::string()>& body) {
  return in_child([&] {
    if (setgroups(0, nullptr) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0) {
      throw std::runtime_error("becoming another user needs root");
    }
    prctl(PR_SET_DUMPABLE, 1);  // as in any login shell
    return body();
  });
}

char process_state(pid_t pid) {
  const std::string stat = read_whole("/proc/" + std::to_string(pid) + "/stat");
  const size_t paren = stat.rfind(')');
  return paren == std::string::npos || paren + 2 >= stat.size() ? '\0' : stat[paren + 2];
}

bool at_rest(pid_t pid) {
  const char state = process_state(pid);
  return state == 'S' || state == 'T';
}

bool gone(pid_t pid) {
  const char state = process_state(pid);
  return state == '\0' || state == 'Z' || state == 'X';
}

pid_t parent_of(pid_t pid) {
  return static_cast<pid_t>(process_number(pid, "PPid"));
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  for (pid_t candidate : all_pids()) {
    if (parent_of(candidate) == pid && !gone(candidate)) children.push_back(candidate);
  }
  return children;
}

std::vector<pid_t> descendants(pid_t pid) {
  std::vector<pid_t> found = children_of(pid);
  for (size_t i = 0; i < found.size(); ++i) {
    for (pid_t child : children_of(found[i]))
      found.push_back(child);
  }
  return found;
}

int64_t process_number(pid_t pid, const std::string& field) {
  std::istringstream status(read_whole("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field + ":", 0) == 0) return std::strtoll(line.c_str() + field.size() + 1, nullptr, 10);
  }
  return -1;
}

bool send_signal(pid_t pid, int signal) {
  const int fd = pidfd_open(pid, 0);
  if (fd < 0) return false;
  const bool sent = pidfd_send_signal(fd, signal, nullptr, 0) == 0;
  close(fd);
  return sent;
}

std::string read_whole(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  return content.str();
}

void write_whole(const fs::path& file, std::string_view content) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory))
    names.push_back(entry.path().filename());
  return names;
}

size_t open_fd_count() {
  return names_in("/proc/self/fd").size();
}

namespace {
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string base64_decode(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return bytes;
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      text += i + k > bytes.size() ? '=' : kAlphabet[bits >> (18 - 6 * k) & 0x3f];
    }
  }
  return text;
}

Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "the call was expected to throw";
  return Error();
}

std::string encoding_name(Encoding encoding) {
  return encoding == Encoding::kJson ? "json" : "msgpack";
}

Json bytes_value(std::string_view bytes, Encoding encoding) {
  if (encoding == Encoding::kJson) return {{"base64", base64_encode(bytes)}};
  return Json::binary(std::vector<uint8_t>(bytes.begin(), bytes.end()));
}

std::string bytes_of(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_binary()) return std::string(value.get_binary().begin(), value.get_binary().end());
  if (value.is_object() && value.size() == 1 && value.contains("base64")) {
    return base64_decode(value["base64"].get<std::string>());
  }
  ADD_FAILURE() << "these are no bytes: " << value;
  return "";
}

RawClient::RawClient(const fs::path& socket_path, Encoding encoding) : encoding_(encoding) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket_path.string();
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("path too long for this client");
  std::memcpy(address.sun_path, path.data(), path.size());
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close(std::exchange(fd_, -1));
}

RawClient::~RawClient() {
  if (fd_ >= 0) close(fd_);
}

bool RawClient::send(std::string_view bytes) {
  const auto deadline = Clock::now() + kPatience;
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
    if (n > 0) continue;
    if (errno != EAGAIN) return false;
    // What the peer says meanwhile is taken in, lest both wait for each other.
    pollfd poller{fd_, POLLIN | POLLOUT, 0};
    if (poll(&poller, 1, milliseconds_until(deadline)) <= 0) return false;
    if ((poller.revents & POLLIN) != 0 && (poller.revents & POLLOUT) == 0 && !fill(Clock::now()))
      return false;
  }
  return true;
}

void RawClient::half_close() {
  shutdown(fd_, SHUT_WR);
}

std::string RawClient::encode(const Json& document) const {
  if (encoding_ == Encoding::kJson) return document.dump() + "\n";
  const std::vector<uint8_t> packed = Json::to_msgpack(document);
  return std::string(packed.begin(), packed.end());
}

Json RawClient::request(std::string_view method, Json params, Json id) {
  if (id.is_null()) id = next_id_++;
  send(encode({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}}));
  return id;
}

bool RawClient::fill(Clock::time_point deadline) {
  pollfd poller{fd_, POLLIN, 0};
  if (eof_ || poll(&poller, 1, milliseconds_until(deadline)) <= 0) return false;
  std::vector<char> piece(256 * 1024);
  const ssize_t n = recv(fd_, piece.data(), piece.size(), 0);
  if (n <= 0) eof_ = true;
  if (n > 0) buffer_.append(piece.data(), static_cast<size_t>(n));
  return n > 0;
}

namespace {

/// Length of the msgpack object at the beginning of `bytes`; nothing if it is not complete.
std::optional<size_t> msgpack_length(std::string_view bytes) {
  size_t at = 0;
  const auto number = [&](size_t width) -> std::optional<uint64_t> {
    if (at + width > bytes.size()) return std::nullopt;
    uint64_t value = 0;
    for (size_t i = 0; i < width; ++i)
      value = value << 8 | static_cast<unsigned char>(bytes[at++]);
    return value;
  };
  for (uint64_t left = 1; left > 0; --left) {
    const auto tag = number(1);
    if (!tag) return std::nullopt;
    const uint64_t t = *tag;
    if (t <= 0x7f || t >= 0xe0 || t == 0xc0 || t == 0xc2 || t == 0xc3) continue;
    std::optional<uint64_t> size = 0;
    if (t <= 0x8f) {
      left += 2 * (t & 0xf);
    } else if (t <= 0x9f) {
      left += t & 0xf;
    } else if (t <= 0xbf) {
      size = t & 0x1f;
    } else if (t >= 0xc4 && t <= 0xc6) {
      size = number(1u << (t - 0xc4));
    } else if (t == 0xca || t == 0xcb) {
      size = t == 0xca ? 4 : 8;
    } else if (t >= 0xcc && t <= 0xd3) {
      size = 1u << ((t - 0xcc) % 4);
    } else if (t >= 0xd9 && t <= 0xdb) {
      size = number(1u << (t - 0xd9));
    } else if (t == 0xdc || t == 0xdd) {
      const auto count = number(t == 0xdc ? 2 : 4);
      if (!count) return std::nullopt;
      left += *count;
    } else if (t == 0xde || t == 0xdf) {
      const auto count = number(t == 0xde ? 2 : 4);
      if (!count) return std::nullopt;
      left += 2 * *count;
    } else {
      throw std::runtime_error("msgpack of a kind no reply has");
    }
    if (!size || at + *size > bytes.size()) return std::nullopt;
    at += *size;
  }
  return at;
}

}  // namespace

std::optional<Json> RawClient::take() {
  if (buffer_.empty()) return std::nullopt;
  if (encoding_ == Encoding::kJson) {
    const size_t end = buffer_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    const std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    return Json::parse(line);
  }
  const auto length = msgpack_length(buffer_);
  if (!length) return std::nullopt;
  Json document = Json::from_msgpack(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(*length));
  buffer_.erase(0, *length);
  return document;
}

std::optional<Json> RawClient::receive(Milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  for (;;) {
    if (auto document = take()) return document;
    if (!fill(deadline)) return std::nullopt;
  }
}

Json RawClient::call(std::string_view method, Json params) {
  const Json id = request(method, std::move(params));
  while (auto message = receive()) {
    if (message->contains("id") && (*message)["id"] == id) return *message;
    events.push_back(*message);
  }
  ADD_FAILURE() << "no reply to " << method;
  return Json::object();
}

Json RawClient::result(std::string_view method, Json params) {
  Json reply = call(method, std::move(params));
  if (reply.contains("result")) return reply["result"];
  ADD_FAILURE() << method << " failed: " << reply;
  return nullptr;
}

bool RawClient::closed_by_peer(Milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  while (fill(deadline))
    buffer_.clear();
  return eof_;
}

std::string error_word(const Json& reply) {
  if (!reply.contains("error")) return "";
  const Json& error = reply["error"];
  if (!error.contains("data") || !error["data"].is_object()) return "";
  return error["data"].value("error", "");
}

void E2eTest::SetUp() {
  std::string directory = "/dev/shm/bgtask-e2e-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  base_ = directory;
  ASSERT_NO_FATAL_FAILURE(prepare_base(base_));
  // The mark by which the processes of this test are known, whoever started them.
  setenv("BGTASK_E2E", base_.c_str(), 1);
  setenv("BGTASK_POOL", (base_ / "pool").c_str(), 1);
  setenv("BGTASK_SUPERVISOR", BGTASK_SUPERVISOR_PROGRAM, 1);
  pool_.emplace(base_ / "pool", pool_options());
}

PoolOptions E2eTest::pool_options() const {
  return {.mkdir_if_missing = MkdirIfMissing{},
          .supervisor_command = {BGTASK_SUPERVISOR_PROGRAM},
          .supervisor_env = {{"BGTASK_E2E", base_.string()}}};
}

void E2eTest::end_tasks() {
  for (pid_t pid : own_processes())
    send_signal(pid, SIGCONT);  // a test may have stopped supervisors
  bool orphans = false;
  for (Task& task : pool_->search(Json::object())) {
    try {
      task.remove({.grace = Seconds(0)});
    } catch (const Error&) {
      orphans = true;  // a dead supervisor's child: nobody but us will end it
    }
  }
  if (!orphans) {
    EXPECT_TRUE(eventually([this] { return own_processes().empty(); }, Milliseconds(10'000)))
        << "processes are left of deleted tasks";
  }
  eventually([this] {
    for (pid_t pid : own_processes())
      send_signal(pid, SIGKILL);
    return own_processes().empty();
  });
  // A process on its way out has no environment any more and is not gone yet: gc may have to be asked again.
  eventually([this] { return pool_->gc().empty() && names_in(pool_->path()).empty(); }, Milliseconds(5'000));
}

void E2eTest::TearDown() {
  if (pool_) {
    end_tasks();
    EXPECT_EQ(names_in(pool_->path()), std::vector<std::string>()) << "files are left of deleted tasks";
    pool_.reset();
  }
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child of the caller is left";
  std::error_code ignored;
  if (!base_.empty()) {
    release_base(base_);
    fs::remove_all(base_, ignored);
  }
  for (const fs::path& path : elsewhere_)
    fs::remove_all(path, ignored);
}

Task E2eTest::shell(const std::string& cmd, SpawnOptions options) const {
  options.cmd = cmd;
  return spawn(std::move(options));
}

std::vector<std::string> E2eTest::awkward_command(std::vector<std::string> args) const {
  args.insert(args.begin(), AWKWARD_PROGRAM);
  return args;
}

Task E2eTest::awkward(std::vector<std::string> args, SpawnOptions options) const {
  options.exec = awkward_command(std::move(args));
  return spawn(std::move(options));
}

ProgramResult E2eTest::bgtask(std::vector<std::string> args, ProgramOptions options) const {
  args.insert(args.begin(), BGTASK_PROGRAM);
  return run_program(args, options);
}

fs::path E2eTest::directory_of(const Task& task) const {
  return pool_->path() / std::to_string(task.pid());
}
fs::path E2eTest::socket_of(const Task& task) const {
  return directory_of(task) / "socket";
}

fs::path E2eTest::make_fifo(const std::string& name) const {
  const fs::path path = base_ / name;
  if (mkfifo(path.c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
  return path;
}

Json E2eTest::wait_exit(Task& task) const {
  const WaitResult result = task.wait({.timeout = Seconds(60)});
  EXPECT_EQ(result.fired, "exit");
  return result.status;
}

void E2eTest::wait_eof(Task& task) const {
  EXPECT_EQ(task.wait({.for_events = {"eof"}, .timeout = Seconds(60)}).fired, "eof");
}

bool E2eTest::wait_limit(Task& task, const std::string& stream, uint64_t limit) const {
  return eventually([&] { return task.stream(stream).limit() >= limit; });
}

pid_t E2eTest::child_of(Task& task) const {
  const Json& child = task.info(true).at("child_pid");
  return child.is_null() ? 0 : child.get<pid_t>();
}

std::map<std::string, pid_t> E2eTest::family_of(Task& task, size_t count) const {
  std::map<std::string, pid_t> family;
  EXPECT_TRUE(eventually([&] {
    family.clear();
    std::istringstream lines(task.stream("stdout").peek(0).data);
    pid_t pid = 0;
    for (std::string role; lines >> role >> pid;)
      family[role] = pid;
    return family.size() == count && std::all_of(family.begin(), family.end(),
                                                 [](const auto& member) { return at_rest(member.second); });
  }));
  return family;
}

namespace {

// Supervisors have none of the variables of the process that started them.
bool is_supervisor_below(pid_t pid, const std::string& directory) {
  const std::string process = "/proc/" + std::to_string(pid);
  if (read_whole(process + "/comm") != "bgtask-supervis\n") return false;
  std::error_code ended;  // another test's supervisor may end at any time
  for (fs::directory_iterator fd(process + "/fd", ended), none; !ended && fd != none; fd.increment(ended)) {
    std::error_code ignored;
    if (fs::read_symlink(fd->path(), ignored).string().starts_with(directory)) return true;
  }
  return false;
}

}  // namespace

std::vector<pid_t> E2eTest::own_processes() const {
  std::vector<pid_t> own;
  for (pid_t pid : all_pids()) {
    const bool marked =
        read_whole("/proc/" + std::to_string(pid) + "/environ").find(base_.string()) != std::string::npos ||
        is_supervisor_below(pid, base_);
    if (marked && pid != getpid() && !gone(pid)) own.push_back(pid);
  }
  return own;
}

fs::path E2eTest::public_copy(const std::string& program) const {
  // Not under /dev/shm, which may be mounted noexec.
  std::string directory = "/tmp/bgtask-e2e-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) throw std::runtime_error("mkdtemp");
  elsewhere_.push_back(directory);
  chmod(directory.c_str(), 0755);
  const fs::path copy = fs::path(directory) / fs::path(program).filename();
  fs::copy_file(program, copy);
  chmod(copy.c_str(), 0755);
  return copy;
}

void E2eTest::kill_supervisor(const Task& task) const {
  ASSERT_TRUE(send_signal(task.pid(), SIGKILL));
  ASSERT_TRUE(eventually([&] { return gone(task.pid()); }));
}

}  // namespace bgtask::e2e
