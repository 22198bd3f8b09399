#include "tests/bench/micro/documents.h"

#include "protocol/wire/codec.h"
#include "protocol/wire/message.h"

namespace bgtask::micro {
namespace {

Json stream(uint64_t limit) {
  return {{"start", 0},   {"consumed", 0},    {"limit", limit},      {"lost", 0},
          {"eof", false}, {"error", nullptr}, {"capacity", 1u << 20}};
}

}  // namespace

Json info_document() {
  Json status{{"state", "running"}, {"running", true},      {"paused", false},  {"exit_code", nullptr},
              {"signal", nullptr},  {"core_dumped", false}, {"reason", nullptr}};
  Json streams{{"stdin", {{"pending", 0}, {"written", 0}, {"eof", true}}},
               {"stdout", stream(123'456)},
               {"stderr", stream(789)},
               {"data", stream(12)}};
  return {
      {"pid", 4711},
      {"uid", 1000},
      {"version", "0.1.0"},
      {"protocol", 1},
      {"persistent", true},
      {"on_disk", false},
      {"command", {"/opt/scripts/convert", "--from", "a.mkv", "--to", "a.webm"}},
      {"cwd", "/srv/media"},
      {"meta", {{"name", "convert a"}, {"team", "web"}, {"progress", {{"phase", "video"}, {"percent", 40}}}}},
      {"child_pid", 4712},
      {"former_pids", Json::array()},
      {"containment", "sub-reaper"},
      {"memory_limit", nullptr},
      {"cpu_limit", nullptr},
      {"oom_kills", nullptr},
      {"shared_with", nullptr},
      {"actions", Json::array()},
      {"runs", 1},
      {"started_at", 1'700'000'000.25},
      {"ended_at", nullptr},
      {"status", std::move(status)},
      {"rusage", nullptr},
      {"streams", std::move(streams)},
      {"supervision",
       {{"boot_id", "4b663d2b-597e-43af-8058-b44fb1d8be0b"},
        {"start", 1'234'567},
        {"child_start", 1'234'568},
        {"cgroup", ""},
        {"pipes", {{"stdout", 10'610'579}, {"stderr", 10'610'581}}}}}};
}

Json output_page(int chunks, int bytes) {
  Json list = Json::array();
  for (int i = 0; i < chunks; ++i) {
    list.push_back({{"seq", i + 1},
                    {"time", 1'700'000'000.25 + i},
                    {"stream", "stdout"},
                    {"offset", i * bytes},
                    {"data", wire::binary_value(std::string(static_cast<size_t>(bytes), 'x'))}});
  }
  Json lost{{"stdout", 0}, {"stderr", 0}, {"data", 0}};
  return wire::make_reply(7, {{"chunks", std::move(list)}, {"next", chunks + 1}, {"lost", std::move(lost)}});
}

}  // namespace bgtask::micro
