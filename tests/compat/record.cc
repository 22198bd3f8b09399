// record_compat DIRECTORY: writes what this version says and keeps.
//   requests.jsonl, replies.jsonl      a conversation, a message a line
//   requests.msgpack, replies.msgpack  the same one, as streams of msgpack objects
//   task/                              the directory of a task whose supervisor is dead
#include <sys/stat.h>

#include <cstdlib>
#include <iostream>

#include "protocol/wire/codec.h"
#include "tests/compat/requests.h"

namespace bgtask::compat {
namespace {

namespace fs = std::filesystem;
using e2e::Encoding;

void record_conversation(const TaskPool& pool, const fs::path& directory, Encoding encoding) {
  const bool json = encoding == Encoding::kJson;
  Task task = pool.spawn(command());
  e2e::RawClient client(pool.socket_path(task.pid()), encoding);
  std::string sent, received;
  const auto frame = [&](const Json& message) {
    return wire::encode_frame(message, json ? wire::Encoding::kJson : wire::Encoding::kMsgpack);
  };
  int id = 0;
  for (const Request& request : requests()) {
    sent += frame({{"jsonrpc", "2.0"}, {"id", ++id}, {"method", request.method}, {"params", request.params}});
    client.request(request.method, request.params, id);
    for (;;) {
      const auto message = client.receive();
      if (!message) throw std::runtime_error("no reply to " + request.method);
      received += frame(*message);
      if (message->contains("id")) break;
    }
  }
  e2e::write_whole(directory / (json ? "requests.jsonl" : "requests.msgpack"), sent);
  e2e::write_whole(directory / (json ? "replies.jsonl" : "replies.msgpack"), received);
}

// Output on all streams, more than the ring of stdout holds, some of it consumed; then the supervisor is
// killed.
void record_task(const TaskPool& pool, const fs::path& directory) {
  Task task = pool.spawn({.exec = {"/bin/sh", "-c",
                                   "printf '{\"progress\": 50}' >&3; printf 'a warning\\n' >&2; i=0; "
                                   "while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done; exit 7"},
                          .clear_env = true,
                          .cwd = "/",
                          .meta = {{"name", "kept"}, {"tags", {"a", "b"}}},
                          .buffer = 4096});
  task.wait({.timeout = Seconds(30)});
  task.stream("stderr").read(0, 2);
  e2e::send_signal(task.pid(), SIGKILL);
  e2e::eventually([&] { return e2e::gone(task.pid()); });
  fs::create_directory(directory / "task");
  for (const char* file : {"status", "launch", "stdout", "stderr", "data", "index"})
    fs::copy_file(pool.path() / std::to_string(task.pid()) / file, directory / "task" / file);
  pool.gc();
}

int record(const fs::path& directory) {
  if (!fs::create_directory(directory)) {
    std::cerr << directory << " exists: a recording is never made again\n";
    return 1;
  }
  std::string scratch = "/dev/shm/bgtask-record-XXXXXX";
  const TaskPool pool(mkdtemp(scratch.data()), {.supervisor_command = {BGTASK_SUPERVISOR_PROGRAM}});
  record_conversation(pool, directory, Encoding::kJson);
  record_conversation(pool, directory, Encoding::kMsgpack);
  record_task(pool, directory);
  fs::remove_all(scratch);
  return 0;
}

}  // namespace
}  // namespace bgtask::compat

int main(int argc, char** argv) {
  if (argc == 2) return bgtask::compat::record(argv[1]);
  std::cerr << "usage: record_compat DIRECTORY\n";
  return 2;
}
