// What a search does with one task, apart from system calls: parsing its status, matching a pattern.
#include <benchmark/benchmark.h>
#include <bgtask/task_pool.h>

#include "protocol/wire/codec.h"
#include "tests/bench/micro/documents.h"

namespace {

using bgtask::Json;

void parse_status(benchmark::State& state) {
  const std::string text = bgtask::wire::encode_json(bgtask::micro::info_document());
  for (auto _ : state) {
    const auto document = bgtask::wire::decode_json(text, bgtask::wire::reply_limits());
    if (!document) return state.SkipWithError("the status cannot be parsed");
    benchmark::DoNotOptimize(*document);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void match(benchmark::State& state, const Json& pattern, bool expected) {
  const Json info = bgtask::micro::info_document();
  for (auto _ : state) {
    if (bgtask::matches(pattern, info) != expected) return state.SkipWithError("the wrong answer");
  }
}

BENCHMARK(parse_status);
BENCHMARK_CAPTURE(match, running, Json({{"status", {{"running", 1}}}}), true);
BENCHMARK_CAPTURE(match, name, Json({{"meta", {{"name", "another"}}}}), false);
BENCHMARK_CAPTURE(match, nested,
                  Json({{"meta", {{"team", "web"}, {"progress", {{"phase", "video"}, {"percent", "40"}}}}},
                        {"status", {{"state", "running"}, {"exit_code", nullptr}}},
                        {"command", {"/opt/scripts/convert", "--from", "a.mkv", "--to", "a.webm"}}}),
                  true);

}  // namespace
