// A whole supervisor in this process, as far as it goes without a child: its sockets, its connections, its
// handlers, its rings. The first byte says which socket a client uses and how what it sends is cut into
// pieces; the rest is what it sends.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "protocol/io/unix_socket.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/message.h"
#include "supervisor/program/supervisor.h"
#include "tests/fuzz/fuzz_target.h"

using namespace bgtask;

namespace {

// A child is forked only by a request to restart. It says nothing and ends with its stdin.
constexpr char kCommand[] = "/bin/cat";
constexpr int kTurns = 50;

io::UniqueFd no_signals() {
  int ends[2];
  fuzz::require(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "there is a pipe");
  static io::UniqueFd never_written(ends[1]);
  return io::UniqueFd(ends[0]);
}

io::UniqueFd pipe_with(std::string_view text) {
  int ends[2];
  fuzz::require(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "there is a pipe");
  fuzz::require(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()),
                "it takes a text");
  ::close(ends[1]);
  return io::UniqueFd(ends[0]);
}

template <class T>
T value(Result<T> result, const char* what) {
  fuzz::require(result.has_value(), what);
  return std::move(*result);
}

wire::LaunchSpec spec() {
  wire::LaunchSpec spec;
  spec.exec = {kCommand};
  spec.cwd = "/";
  spec.meta = {{"name", "fuzzed"}, {"nested", {{"a", 1}, {"b", {1, 2, 3}}}}};
  spec.buffer = 8192;
  spec.pool_path = fuzz::scratch().string();
  return spec;
}

class FuzzedTask {
 public:
  FuzzedTask() {
    fuzz::require(loop_.init().has_value(), "there is a loop");
    io::UniqueFd pool(::open(fuzz::scratch().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    task_.emplace(
        loop_, value(supervisor::TaskFiles::create(std::move(pool), ".tmp-new", std::nullopt), "a directory"),
        spec(), supervisor::OriginalProcess{});
    fuzz::require(task_->prepare().has_value(), "the task knows itself");
    fuzz::require(task_->make_rings().has_value(), "there are rings");
    fuzz::require(task_->files().write_launch(wire::encode_msgpack(wire::to_json(spec()))).has_value(),
                  "a launch file");
    supervisor::Supervisor::Listening listening;
    for (const supervisor::Endpoint endpoint : supervisor::kEndpoints)
      listening[static_cast<size_t>(endpoint)] = value(task_->files().listen(endpoint), "a socket");
    supervisor_.emplace(loop_, *task_);
    fuzz::require(supervisor_->start(std::move(listening), no_signals(), {}).has_value(), "it serves");
    fuzz::require(
        task_->output().attach(ring::StreamId::kStdout, pipe_with("some output\nof two lines\n")).has_value(),
        "it has output");
    fuzz::require(task_->output().attach(ring::StreamId::kStderr, pipe_with("\xff\xfe\x1b[31m")).has_value(),
                  "and errors");
    for (int turns = 0; turns < kTurns && !output_ended(); ++turns)
      turn();
    fuzz::require(output_ended(), "which is all there is");
  }
  ~FuzzedTask() {
    static_cast<void>(task_->tree().signal_all(SIGKILL));
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    static_cast<void>(task_->files().remove());
    supervisor_.reset();
    task_.reset();
  }

  void turn() { uv_run(loop_.get(), UV_RUN_NOWAIT); }
  io::UniqueFd connect(supervisor::Endpoint endpoint) {
    const char* name = supervisor::TaskFiles::name_of(endpoint);
    return value(io::connect_at(task_->files().directory(), name), "a connection");
  }
  /// Everything of the task that a request could change.
  Json state() {
    return {task_->meta(), task_->status(), task_->stream_info(1), task_->stream_info(2), deleted()};
  }
  bool output_ended() { return task_->stream_info(1)["eof"] == true && task_->stream_info(2)["eof"] == true; }
  bool deleted() { return ::faccessat(task_->files().directory(), "socket", F_OK, 0) != 0; }

 private:
  io::Loop loop_;
  std::optional<supervisor::Task> task_;
  std::optional<supervisor::Supervisor> supervisor_;
};

/// Replies must be frames of the client's encoding, each a reply or a notification.
class Client {
 public:
  Client(FuzzedTask& task, supervisor::Endpoint endpoint, wire::Encoding encoding)
      : task_(task),
        fd_(task.connect(endpoint)),
        framer_(2 * wire::kMaxReply, wire::reply_limits(), encoding) {}

  void send(std::string_view bytes) {
    for (int turns = 0; !bytes.empty() && turns < kTurns; ++turns) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
      if (n < 0 && errno != EAGAIN) return;
      task_.turn();
      receive();
    }
  }
  void half_close() { ::shutdown(fd_.get(), SHUT_WR); }
  /// Whether the supervisor closed.
  bool finish() {
    for (int turns = 0; !ended_ && turns < kTurns; ++turns) {
      task_.turn();
      receive();
    }
    return ended_;
  }
  size_t replies() const { return replies_; }

 private:
  void receive() {
    static char buffer[256 * 1024];
    for (;;) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN)) ended_ = true;
      if (n <= 0) return;
      framer_.feed({buffer, static_cast<size_t>(n)});
      while (const auto frame = framer_.next()) {
        fuzz::require(frame->has_value(), "a reply can be decoded");
        const Json& reply = **frame;
        fuzz::require(reply.is_object() && reply.value("jsonrpc", "") == "2.0", "it is JSON-RPC");
        const bool is_reply = reply.contains("id") && (reply.contains("result") != reply.contains("error"));
        fuzz::require(is_reply || reply.value("method", "") == "event", "it is a reply or an event");
        ++replies_;
      }
    }
  }

  FuzzedTask& task_;
  io::UniqueFd fd_;
  wire::Framer framer_;
  bool ended_ = false;
  size_t replies_ = 0;
};

/// A map or an array; what is neither is refused in JSON.
bool begins_msgpack(std::string_view bytes) {
  if (bytes.empty()) return false;
  const auto first = static_cast<uint8_t>(bytes.front());
  return (first >= 0x80 && first <= 0x9f) || (first >= 0xdc && first <= 0xdf);
}

/// What would end this process, and a supervisor takes or ignores: SIGIO is sent when something vanishes from
/// the task's directory. Ignored and not blocked, for libFuzzer has a thread of its own.
bool be_a_supervisor() {
  return std::signal(SIGPIPE, SIG_IGN) != SIG_ERR && std::signal(SIGIO, SIG_IGN) != SIG_ERR;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  [[maybe_unused]] static const bool prepared = be_a_supervisor();
  fuzz::Input input(data, size);
  const uint8_t cut = input.byte();
  const size_t pieces = 1 + cut % 8;
  const std::string_view bytes = input.rest();
  const bool watches = cut >= 128;
  FuzzedTask task;
  const Json before = task.state();
  {
    Client rude(task, watches ? supervisor::Endpoint::kRead : supervisor::Endpoint::kControl,
                begins_msgpack(bytes) ? wire::Encoding::kMsgpack : wire::Encoding::kJson);
    for (size_t at = 0, step = bytes.size() / pieces + 1; at < bytes.size(); at += step)
      rude.send(bytes.substr(at, step));
    rude.half_close();
    rude.finish();
  }
  fuzz::require(!watches || task.state() == before, "who may only watch changes nothing");
  if (task.deleted()) return 0;
  Client polite(task, supervisor::Endpoint::kControl, wire::Encoding::kJson);
  polite.send(R"({"jsonrpc":"2.0","id":1,"method":"ping"})"
              "\n");
  polite.half_close();
  fuzz::require(polite.finish() && (polite.replies() == 1 || task.deleted()), "another client is served");
  return 0;
}
