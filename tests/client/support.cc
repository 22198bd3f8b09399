#include "tests/client/support.h"

#include <bgtask/error.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "protocol/io/unix_socket.h"
#include "protocol/ring/byte_ring.h"
#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"

namespace bgtask::test {
namespace {

constexpr std::uint64_t kTimeNs = 1'700'000'000'250'000'000;

std::string slurp(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

io::UniqueFd open_directory(const std::filesystem::path& path) {
  io::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) throw std::runtime_error("cannot open " + path.string());
  return fd;
}

}  // namespace

Json status_document(pid_t id, Json child_pid, const std::string& state) {
  Json status{{"state", state},    {"running", state != "exited"}, {"paused", false},  {"exit_code", nullptr},
              {"signal", nullptr}, {"core_dumped", false},         {"reason", nullptr}};
  return {{"pid", id},
          {"persistent", true},
          {"command", {"/bin/sleep", "1"}},
          {"meta", Json::object()},
          {"child_pid", child_pid},
          {"status", status},
          {"former_pids", Json::array()},
          {"supervision", Json::object()},
          {"streams", {{"stdin", {{"pending", 0}}}, {"stdout", {{"limit", 7}}}}}};
}

void name_child(Json& document, pid_t child) {
  std::string boot = slurp("/proc/sys/kernel/random/boot_id");
  boot.pop_back();
  std::istringstream stat(slurp("/proc/" + std::to_string(child) + "/stat"));
  std::string field;
  for (int i = 1; i <= 22; ++i)
    stat >> field;  // the name of our processes holds no space
  document["child_pid"] = child;
  document["supervision"] = {{"boot_id", boot}, {"child_start", std::stoull(field)}};
}

PoolTest::PoolTest() {
  std::string name = "/dev/shm/bgtask-client-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a pool");
  path_ = name;
}

PoolTest::~PoolTest() {
  std::filesystem::remove_all(path_);
}

PoolDirectory PoolTest::pool() const {
  Result<PoolDirectory> pool = taskdir::open_pool(path_);
  if (!pool) throw std::runtime_error(pool.error().message);
  return std::move(*pool);
}

void PoolTest::make_task(pid_t id, const Json& status) {
  std::filesystem::create_directory(task_path(id));
  std::filesystem::permissions(task_path(id), std::filesystem::perms::owner_all);
  write_file(task_path(id) / "lock", "");
  if (!status.is_null()) write_file(task_path(id) / "status", status.dump());
}

io::UniqueFd PoolTest::hold_lock(pid_t id) const {
  io::UniqueFd lock(::open((task_path(id) / "lock").c_str(), O_RDWR | O_CLOEXEC));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) throw std::runtime_error("cannot lock");
  return lock;
}

void PoolTest::make_rings(pid_t id, std::string_view out, std::string_view err, std::uint64_t consumed) {
  const io::UniqueFd dir = open_directory(task_path(id));
  const auto storage = [&](const char* name, ring::Kind kind, std::uint64_t capacity) {
    return std::move(*ring::Storage::create_file(dir.get(), name, kind, capacity));
  };
  ring::IndexRing index(storage("index", ring::Kind::kIndex, ring::IndexRing::capacity_for(1 << 20)));
  const ring::Geometry geometry{.capacity = 1 << 20, .retain = 1 << 20};
  const auto fill = [&](const char* name, ring::StreamId stream, std::string_view bytes) {
    ring::ByteRing ring(storage(name, ring::Kind::kBytes, geometry.capacity), geometry);
    for (; !bytes.empty(); bytes.remove_prefix(std::min<size_t>(bytes.size(), ring::kMaxRecord))) {
      const auto taken = ring.append(std::as_bytes(std::span(bytes.substr(0, ring::kMaxRecord))));
      index.append(stream, taken.offset, taken.offset, taken.length, kTimeNs);
    }
    return ring;
  };
  ring::ByteRing stdout_ring = fill("stdout", ring::StreamId::kStdout, out);
  stdout_ring.consume(consumed);
  fill("stderr", ring::StreamId::kStderr, err);
  const std::uint64_t capacity = ring::MessageRing::capacity_for(1 << 16);
  ring::MessageRing data(storage("data", ring::Kind::kMessages, capacity), {.capacity = capacity});
  for (std::string_view message : {"one", "", "three"}) {
    const auto kept = data.append(std::as_bytes(std::span(message)), kTimeNs);
    index.append(ring::StreamId::kData, kept.number, kept.position, message.size(), kTimeNs);
  }
}

void PoolTest::write_file(const std::filesystem::path& file, std::string_view content) const {
  std::ofstream(file, std::ios::binary) << content;
}

Peer::Peer(io::UniqueFd fd) : fd_(std::move(fd)) {
  framer_ = std::make_unique<wire::Framer>(wire::kMaxWriteFrame, wire::request_limits());
}

Json Peer::request() {
  for (;;) {
    if (auto frame = framer_->next()) return *frame ? std::move(**frame) : Json();
    char buffer[65536];
    const ssize_t received = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (received <= 0) return nullptr;
    framer_->feed({buffer, static_cast<size_t>(received)});
  }
}

void Peer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void Peer::reply(const Json& request, Json result) {
  send(wire::encode_frame(wire::make_reply(request.at("id"), std::move(result)), wire::Encoding::kMsgpack));
}

void Peer::fail(const Json& request, const Json& error_data) {
  const Json id = request.is_object() ? request.at("id") : Json();
  const Json error{{"code", -32000}, {"message", "no"}, {"data", error_data}};
  send(wire::encode_frame({{"jsonrpc", "2.0"}, {"id", id}, {"error", error}}, wire::Encoding::kMsgpack));
}

void Peer::event(Json params) {
  send(wire::encode_frame(wire::make_event(std::move(params)), wire::Encoding::kMsgpack));
}

bool Peer::closed_by_client() const {
  pollfd entry{fd_.get(), POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0;
}

void Peer::wait_for_close() {
  while (!request().is_null()) {
  }
}

FakeServer::FakeServer(const std::filesystem::path& task_path, std::function<void(Peer&)> serve)
    : stop_(::eventfd(0, EFD_CLOEXEC)), serve_(std::move(serve)) {
  const io::UniqueFd dir = open_directory(task_path);
  listener_ = std::move(*io::listen_at(dir.get(), "socket", 8));
  thread_ = std::thread([this] { run(); });
}

FakeServer::~FakeServer() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void FakeServer::run() {
  for (;;) {
    pollfd entries[] = {{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    ::poll(entries, 2, -1);
    if (entries[0].revents != 0) return;
    io::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) continue;
    // A client that never closes must not hold the test up for ever.
    const timeval patience{20, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    Peer peer(std::move(fd));
    serve_(peer);
  }
}

std::function<void(Peer&)> answering(std::map<std::string, Json> answers) {
  return [answers = std::move(answers)](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      const auto answer = answers.find(request.at("method").get<std::string>());
      peer.reply(request, answer != answers.end() ? answer->second : Json::object());
    }
  };
}

int in_child(const std::function<int()>& body, uid_t uid) {
  const pid_t child = ::fork();
  if (child == 0) {
    int result = 255;
    try {
      if (uid == 0 || ::setresuid(uid, uid, uid) == 0) result = body();
    } catch (...) {
    }
    ::_exit(result);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Sleeper::Sleeper() : pid_(::fork()) {
  if (pid_ != 0) return;
  for (;;)
    ::pause();
}

void Sleeper::kill() {
  ::kill(pid_, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT);
}

void Sleeper::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

}  // namespace bgtask::test
