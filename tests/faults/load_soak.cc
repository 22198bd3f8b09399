#include "tests/faults/load_soak.h"

#include <algorithm>

#include "tests/e2e/pattern.h"

namespace bgtask::faults {
namespace {

constexpr size_t kMostTasks = 12;
constexpr size_t kMostWrongs = 10;

/// Error words that any call may return while others delete tasks (busy: in progress) and kill supervisors.
bool may_always_be(const std::string& code) {
  return code == "not_found" || code == "lost" || code == "already_exited" || code == "busy";
}

}  // namespace

size_t first_wrong(std::string_view data, uint64_t offset) {
  static const std::string piece = e2e::pattern(0, kPieceSize);
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] != piece[(offset + i) % kPieceSize]) return i;
  }
  return data.size();
}

SoakClient::SoakClient(const TaskPool& pool, std::vector<std::string> command, unsigned seed, int number)
    : pool_(pool), command_(std::move(command)), random_(seed), number_(number) {}

std::vector<Task> SoakClient::tasks(const TaskPool& pool, std::vector<SkippedEntry>* skipped) {
  return pool.search({{"meta", {{"soak", true}}}}, skipped);
}

bool SoakClient::is_supervisor(pid_t pid) {
  const std::string name = e2e::read_whole("/proc/" + std::to_string(pid) + "/cmdline");
  return name.find("bgtask-supervisor") != std::string::npos;
}

const std::vector<SoakClient::Act>& SoakClient::acts() {
  static const std::vector<Act> kActs = {
      {"read", 10, &SoakClient::read, {}},
      {"peek", 10, &SoakClient::peek, {}},
      {"output", 8, &SoakClient::output, {}},
      {"follow", 4, &SoakClient::follow, {}},
      {"kill", 4, &SoakClient::kill, {}},
      {"pause", 6, &SoakClient::pause, {}},
      {"restart", 8, &SoakClient::restart, {"exec_failed"}},
      {"remove", 4, &SoakClient::remove, {"running"}},
      {"meta", 5, &SoakClient::meta, {}},
      {"wait", 4, &SoakClient::wait, {}},
      {"write", 4, &SoakClient::write, {"stdin_closed", "would_block"}},
      {"discard", 3, &SoakClient::discard, {}},
      {"malformed", 6, &SoakClient::malformed, {}},
      {"kill the supervisor", 3, &SoakClient::kill_supervisor, {}},
      {"adopt", 6, &SoakClient::adopt, {"running"}},
      {"gc", 2, &SoakClient::gc, {}},
  };
  return kActs;
}

std::string SoakClient::run(std::chrono::steady_clock::time_point end) {
  while (std::chrono::steady_clock::now() < end && wrongs_ < kMostWrongs)
    step();
  for (const auto& [name, count] : did_)
    report_ += "did " + name + "=" + std::to_string(count) + "\n";
  return report_;
}

void SoakClient::wrong(const std::string& what) {
  ++wrongs_;
  report_ +=
      "WRONG: client " + std::to_string(number_) + ", step " + std::to_string(steps_) + ": " + what + "\n";
}

void SoakClient::step() {
  ++steps_;
  std::vector<Task> all = tasks(pool_);
  if (all.empty() || (all.size() < kMostTasks && random_() % 8 == 0)) {
    try {
      spawn();
    } catch (const Error& error) {
      // A task is seen a moment before its spawn returns, and another client may kill its supervisor then.
      if (error.code() != "lost") wrong("spawn: " + error.code() + ": " + error.what());
    }
    return;
  }
  int total = 0;
  for (const Act& act : acts())
    total += act.weight;
  int chosen = static_cast<int>(random_() % static_cast<unsigned>(total));
  for (const Act& act : acts()) {
    chosen -= act.weight;
    if (chosen >= 0) continue;
    perform(act, all[random_() % all.size()]);
    return;
  }
}

void SoakClient::perform(const Act& act, Task& task) {
  try {
    ++did_[act.name];
    (this->*act.run)(task);
  } catch (const Error& error) {
    const bool known = may_always_be(error.code()) ||
                       std::find(act.may_say.begin(), act.may_say.end(), error.code()) != act.may_say.end();
    if (!known)
      wrong(std::string(act.name) + " of " + std::to_string(task.pid()) + ": " + error.code() + ": " +
            error.what());
  }
}

void SoakClient::check(const char* what, std::string_view data, uint64_t offset) {
  const size_t at = first_wrong(data, offset);
  if (at < data.size())
    wrong(std::string(what) + ": the byte at " + std::to_string(offset + at) + " is wrong");
}

void SoakClient::spawn() {
  ++did_["spawn"];
  SpawnOptions options;
  options.exec = command_;
  options.exec.push_back(any<std::string>({"500", "3000", "20000"}));
  options.meta = {{"soak", true}, {"serial", std::to_string(number_) + "." + std::to_string(++serial_)}};
  options.buffer = any<uint64_t>({4'096, 65'536, 1 << 20});
  options.retain_output = any<uint64_t>({0, 0, 10'000});
  options.overflow = random_() % 4 == 0 ? Overflow::kBlock : Overflow::kDrop;
  options.on_supervisor_death = random_() % 4 == 0 ? OnSupervisorDeath::kKill : OnSupervisorDeath::kKeep;
  pool_.spawn(options);
}

void SoakClient::read(Task& task) {
  const ReadResult got = task.stream("stdout").read();
  check("read", got.data, got.offset);
}

void SoakClient::peek(Task& task) {
  const ReadResult got = task.stream("stdout").peek(0);
  check("peek", got.data, got.offset);
  if (got.start > got.consumed || got.consumed > got.limit) wrong("peek: positions out of order");
}

void SoakClient::output(Task& task) {
  OutputOptions options;
  options.cursor = random_() % 2 == 0 ? 0 : random_() % 1'000;
  options.max_bytes = any<uint64_t>({1, 5'000, 1 << 20});
  const Output got = task.output(options);
  uint64_t last = 0;
  for (const OutputChunk& chunk : got.chunks) {
    if (chunk.seq < last) wrong("output: the order of records");
    last = chunk.seq;
    if (chunk.stream == "stdout") check("output", chunk.data, chunk.offset);
  }
}

void SoakClient::follow(Task& task) {
  e2e::RawClient client(pool_.socket_path(task.pid()),
                        random_() % 2 == 0 ? e2e::Encoding::kJson : e2e::Encoding::kMsgpack);
  if (!client.connected()) return;
  client.request("subscribe",
                 {{"events", {"output", "exit", "meta"}}, {"cursor", random_() % 2 * 1'000'000}});
  for (int i = 0; i < 20; ++i) {
    const auto event = client.receive(Milliseconds(30));
    if (!event) return;
    if (event->value("method", "") != "event" || !(*event)["params"].contains("chunks")) continue;
    for (const Json& chunk : (*event)["params"]["chunks"]) {
      if (chunk["stream"] == "stdout")
        check("follow", e2e::bytes_of(chunk["data"]), chunk["offset"].get<uint64_t>());
    }
  }
}

void SoakClient::kill(Task& task) {
  task.kill(any<std::string>({"TERM", "KILL", "USR1", "HUP"}),
            any<Scope>({Scope::kProcess, Scope::kGroup, Scope::kTree}));
}

void SoakClient::pause(Task& task) {
  task.pause(random_() % 3 == 0);
}

void SoakClient::restart(Task& task) {
  task.restart();
}

void SoakClient::remove(Task& task) {
  const RemoveReceipt receipt =
      task.remove({.grace = Seconds(any<double>({0, 0.1, 1})), .collect = random_() % 2 == 0});
  for (const OutputChunk& chunk : receipt.output)
    check("collected", chunk.data, chunk.offset);
}

void SoakClient::meta(Task& task) {
  task.apply_meta({{"note", steps_}, {"by", {{std::to_string(number_), steps_}}}});
}

void SoakClient::wait(Task& task) {
  task.wait({.for_events = any<std::vector<std::string>>({{"exit"}, {"output"}, {"eof"}, {"exit", "output"}}),
             .cursor = random_() % 100,
             .timeout = Seconds(0.03)});
}

void SoakClient::write(Task& task) {
  task.stream("stdin").write(std::string(any<size_t>({1, 100, 70'000}), 'w'));
}

void SoakClient::discard(Task& task) {
  task.stream("stdout").discard();
}

void SoakClient::malformed(Task& task) {
  e2e::RawClient client(pool_.socket_path(task.pid()));
  if (!client.connected()) return;
  std::string bytes = client.encode({{"jsonrpc", "2.0"},
                                     {"id", steps_},
                                     {"method", "read"},
                                     {"params", {{"stream", 1}, {"count", 10}, {"peek", true}}}});
  const unsigned changes = random_() % 4;
  for (unsigned i = 0; i < changes; ++i)
    bytes[random_() % bytes.size()] = static_cast<char>(random_());
  if (random_() % 3 == 0) bytes.resize(random_() % bytes.size());
  if (random_() % 5 == 0) bytes = std::string(random_() % 100'000, static_cast<char>(random_()));
  client.send(bytes);
  if (random_() % 2 == 0) client.receive(Milliseconds(5));
}

void SoakClient::kill_supervisor(Task& task) {
  // Its pid may be another process's by now.
  if (task.info()["status"]["state"] == "lost" || !is_supervisor(task.pid())) return;
  e2e::send_signal(task.pid(), SIGKILL);
}

void SoakClient::adopt(Task& task) {
  if (task.info()["status"]["state"] == "lost") pool_.adopt(task.pid());
}

void SoakClient::gc(Task&) {
  pool_.gc();
}

}  // namespace bgtask::faults
