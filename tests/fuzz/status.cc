// A published status as somebody hostile may write it, beside a sound one: searched, shown, adopted. The
// first line of the input is a pattern to search by, the rest is the status.
#include <bgtask/bgtask.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "cli/program.h"
#include "protocol/io/unique_fd.h"
#include "protocol/ring/storage.h"
#include "protocol/taskdir/status_document.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/json_members.h"
#include "supervisor/processes/adoption.h"
#include "tests/fuzz/fuzz_target.h"

using namespace bgtask;
namespace fs = std::filesystem;

namespace {

// Above every pid there can be, so that nothing of this machine is meant.
constexpr pid_t kHostile = 1'000'000'001;
constexpr pid_t kSound = 1'000'000'002;

constexpr char kSoundStatus[] =
    R"({"child_pid":null,"command":["/bin/true"],"cwd":"/","ended_at":2.5,"former_pids":[],"meta":{"name":"sound"},)"
    R"("on_disk":false,"persistent":true,"pid":1000000002,"protocol":1,"runs":1,"rusage":null,"started_at":1.5,)"
    R"("status":{"core_dumped":false,"exit_code":0,"paused":false,"reason":null,"running":false,"signal":null,)"
    R"("state":"exited"},"streams":{},"uid":0,"version":"0.1.0"})";

void write(const fs::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc)
      .write(text.data(), static_cast<std::streamsize>(text.size()));
}

void make_task(pid_t id) {
  const fs::path directory = fuzz::scratch() / std::to_string(id);
  ::mkdir(directory.c_str(), 0700);
  write(directory / "lock", "");
  const io::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  bool made = true;
  for (const char* name : {"stdout", "stderr", "data", "index"}) {
    const auto kind = std::string_view(name) == "data"    ? ring::Kind::kMessages
                      : std::string_view(name) == "index" ? ring::Kind::kIndex
                                                          : ring::Kind::kBytes;
    made = made && ring::Storage::create_file(fd.get(), name, kind, ring::kPage).has_value();
  }
  fuzz::require(made, "there are rings");
}

const fs::path& pool_path() {
  static const fs::path path = [] {
    make_task(kHostile);
    make_task(kSound);
    write(fuzz::scratch() / std::to_string(kSound) / "status", kSoundStatus);
    return fuzz::scratch();
  }();
  return path;
}

/// What a verb prints, and how it ends.
struct Printed {
  int status;
  std::string text;
};

Printed run(std::vector<std::string> arguments) {
  static const int file = ::memfd_create("printed", MFD_CLOEXEC);
  arguments.insert(arguments.end(), {"--pool", pool_path().string()});
  fuzz::require(::ftruncate(file, 0) == 0 && ::lseek(file, 0, SEEK_SET) == 0, "the output can be kept");
  const int out = ::dup(1);
  const int err = ::dup(2);
  ::dup2(file, 1);
  ::dup2(file, 2);
  Printed printed{cli::run_program(arguments), {}};
  ::dup2(out, 1);
  ::dup2(err, 2);
  ::close(out);
  ::close(err);
  printed.text.resize(static_cast<size_t>(::lseek(file, 0, SEEK_CUR)));
  fuzz::require(
      ::pread(file, printed.text.data(), printed.text.size(), 0) == static_cast<ssize_t>(printed.text.size()),
      "what was printed can be read");
  return printed;
}

void require_harmless(const std::string& text) {
  fuzz::require(wire::is_utf8(text), "what is printed is text");
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    const auto next = static_cast<uint8_t>(i + 1 < text.size() ? text[i + 1] : 0);
    const auto third = static_cast<uint8_t>(i + 2 < text.size() ? text[i + 2] : 0);
    fuzz::require((c >= ' ' || c == '\n') && c != 0x7f, "no control character is printed");
    fuzz::require(c != 0xc2 || next >= 0xa0, "nor one of those of eight bits");
    const bool bidi = c == 0xe2 && ((next == 0x80 && third >= 0xaa && third <= 0xae) ||
                                    (next == 0x81 && third >= 0xa6 && third <= 0xa9));
    fuzz::require(!bidi, "nor what turns the direction");
  }
}

const std::vector<std::vector<std::string>> kLists = {
    {"ls"},      {"ls", "-o", "wide"}, {"ls", "-o", "json"}, {"ls", "-o", "jsonl"}, {"ls", "-o", "name"},
    {"ls", "-q"}};
const std::string kHostileText = std::to_string(kHostile);
const std::vector<std::vector<std::string>> kLooks = {
    {"info", kHostileText},       {"info", "-o", "json", kHostileText},
    {"meta", kHostileText},       {"read", "--peek", "-o", "json", kHostileText},
    {"logs", "-o", "json", "-a"}, {"wait", "--timeout", "0", kHostileText}};

void list(const std::vector<std::string>& arguments) {
  const Printed printed = run(arguments);
  require_harmless(printed.text);
  const bool quiet = arguments.back() == "-q";
  fuzz::require(printed.text.find(quiet ? std::to_string(kSound) : "sound") != std::string::npos,
                "a hostile entry hides no other");
}

// A replayed input meets every verb, one of a fuzzer only some: it tries a great many.
void run_program(size_t choice) {
#if BGTASK_FUZZ
  list(kLists[choice % kLists.size()]);
  require_harmless(run(kLooks[choice / kLists.size() % kLooks.size()]).text);
#else
  static_cast<void>(choice);
  for (const auto& arguments : kLists)
    list(arguments);
  for (const auto& arguments : kLooks)
    require_harmless(run(arguments).text);
#endif
}

// A program of somebody's that looks around; only our own exception may come out.
void look_around(const Json& pattern) {
  const TaskPool pool(pool_path());
  std::vector<SkippedEntry> skipped;
  for (Task& task : pool.search(pattern, &skipped)) {
    try {
      task.info();
      task.output();
    } catch (const Error&) {
    }
  }
  matches(pattern, pattern);
  static_cast<void>(pool.task(kHostile));
  static_cast<void>(pool.task(1'000'000'003));
}

// What reads only the members that are asked for sees what the parser sees.
void compare_readers(std::string_view text) {
  const auto whole = wire::decode_json(text, wire::reply_limits());
  const auto members = wire::JsonMembers::of(std::string(text), wire::reply_limits());
  fuzz::require(members.has_value() == (whole && whole->is_object()), "both take it or refuse it");
  if (!members) return;
  fuzz::require(members->document() == *whole, "both read the same");
  for (const auto& [key, value] : whole->items())
    fuzz::require(members->get(key) == value, "also of each member");
}

// Whatever is written there, the struct made of it is what a supervisor would write.
void look_as_adopter(const Json& status) {
  const taskdir::StatusDocument decoded = taskdir::decode(status);
  fuzz::require(taskdir::decode(taskdir::encode(taskdir::StatusDocument(decoded))) == decoded,
                "encoder and decoder agree");
  static_cast<void>(supervisor::same_boot(decoded, ""));
  static_cast<void>(supervisor::find_published_child(decoded, ""));
  static_cast<void>(supervisor::recover_streams(std::nullopt, {}, decoded));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t line = all.find('\n');
  const std::string_view text = line == std::string_view::npos ? all : all.substr(line + 1);
  write(pool_path() / std::to_string(kHostile) / "status", text);
  const auto pattern =
      wire::decode_json(all.substr(0, line == std::string_view::npos ? 0 : line), wire::request_limits());
  compare_readers(text);
  look_around(pattern ? *pattern : Json::object());
  run_program(size);
  if (const auto status = wire::decode_json(text, wire::reply_limits())) look_as_adopter(*status);
  return 0;
}
