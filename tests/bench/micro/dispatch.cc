// A request's way through a supervisor, over a socket pair's worth of kernel and no process in between: from
// the frame a client wrote to the reply it can read.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "protocol/io/unix_socket.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/message.h"
#include "supervisor/program/supervisor.h"

namespace {

using namespace bgtask;

template <class T>
T value(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

void must(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message);
}

class Scratch {
 public:
  Scratch() {
    if (::mkdtemp(path_) == nullptr) throw std::runtime_error("no directory");
  }
  ~Scratch() { std::filesystem::remove_all(path_); }
  io::UniqueFd open() const { return io::UniqueFd(::open(path_, O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }

 private:
  char path_[32] = "/tmp/bgtask-micro-XXXXXX";
};

// A supervisor in this process, of a task that was never started.
class Supervised {
 public:
  Supervised() {
    std::signal(SIGIO, SIG_IGN);  // sent when something vanishes from the task's directory
    must(loop_.init());
    wire::LaunchSpec spec;
    spec.exec = {"/bin/cat"};
    spec.cwd = "/";
    spec.meta = {{"name", "micro"}};
    task_.emplace(loop_, value(supervisor::TaskFiles::create(scratch_.open(), ".tmp-new", std::nullopt)),
                  spec, supervisor::OriginalProcess{});
    must(task_->prepare());
    must(task_->make_rings());
    supervisor::Supervisor::Listening listening;
    for (const supervisor::Endpoint endpoint : supervisor::kEndpoints)
      listening[static_cast<size_t>(endpoint)] = value(task_->files().listen(endpoint));
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe");
    never_written_.reset(ends[1]);
    supervisor_.emplace(loop_, *task_);
    must(supervisor_->start(std::move(listening), io::UniqueFd(ends[0]), {}));
    add_output();
    client_ = value(io::connect_at(task_->files().directory(),
                                   supervisor::TaskFiles::name_of(supervisor::Endpoint::kControl)));
    turn();
  }
  ~Supervised() {
    client_.reset();
    turn();
    static_cast<void>(task_->files().remove());
    supervisor_.reset();
    task_.reset();
  }

  // Sends a frame and takes the whole reply; how many bytes that was.
  size_t ask(std::string_view frame, wire::Framer& replies) {
    if (::send(client_.get(), frame.data(), frame.size(), 0) != static_cast<ssize_t>(frame.size())) return 0;
    for (int turns = 0; turns < 1000; ++turns) {
      turn();
      const ssize_t n = ::recv(client_.get(), buffer_, sizeof buffer_, MSG_DONTWAIT);
      if (n <= 0) continue;
      replies.feed({buffer_, static_cast<size_t>(n)});
      if (const auto reply = replies.next(); reply && *reply && (*reply)->contains("result"))
        return replies.last_frame_size();
    }
    return 0;
  }

 private:
  void turn() { uv_run(loop_.get(), UV_RUN_NOWAIT); }
  void add_output() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) throw std::runtime_error("no pipe");
    must(task_->output().attach(ring::StreamId::kStdout, io::UniqueFd(ends[0])));
    const std::string line = std::string(99, 'x') + "\n";
    for (int i = 0; i < 100; ++i) {
      if (::write(ends[1], line.data(), line.size()) != static_cast<ssize_t>(line.size())) break;
      turn();
    }
    ::close(ends[1]);
    turn();
  }

  Scratch scratch_;
  io::Loop loop_;
  std::optional<supervisor::Task> task_;
  std::optional<supervisor::Supervisor> supervisor_;
  io::UniqueFd never_written_;
  io::UniqueFd client_;
  char buffer_[64 * 1024];
};

void request(benchmark::State& state, const char* method, const Json& params, wire::Encoding encoding) {
  Supervised supervised;
  const std::string frame = wire::encode_frame(wire::make_request(7, method, params), encoding);
  wire::Framer replies(2 * wire::kMaxReply, wire::reply_limits(), encoding);
  size_t bytes = 0;
  for (auto _ : state) {
    bytes = supervised.ask(frame, replies);
    if (bytes == 0) return state.SkipWithError("no reply");
  }
  state.counters["reply_bytes"] = static_cast<double>(bytes);
}

constexpr auto kJson = wire::Encoding::kJson;
constexpr auto kMsgpack = wire::Encoding::kMsgpack;
BENCHMARK_CAPTURE(request, ping_json, "ping", Json::object(), kJson);
BENCHMARK_CAPTURE(request, ping_msgpack, "ping", Json::object(), kMsgpack);
BENCHMARK_CAPTURE(request, info_json, "info", Json::object(), kJson);
BENCHMARK_CAPTURE(request, info_msgpack, "info", Json::object(), kMsgpack);
BENCHMARK_CAPTURE(request, output_page_json, "output", Json({{"cursor", 0}}), kJson);
BENCHMARK_CAPTURE(request, output_page_msgpack, "output", Json({{"cursor", 0}}), kMsgpack);

}  // namespace
