// Encoding and decoding, in both encodings: ping, the info document, pages of output.
#include <benchmark/benchmark.h>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/message.h"
#include "tests/bench/micro/documents.h"

namespace {

using namespace bgtask;

enum Document { kPing, kInfo, kLines, kBlocks };

Json document(int64_t which) {
  switch (which) {
    case kPing:
      return wire::make_request(7, "ping", Json::object());
    case kInfo:
      return wire::make_reply(7, micro::info_document());
    case kLines:
      return micro::output_page(500, 100);
    default:
      return micro::output_page(10, 64 * 1024);
  }
}

const char* name_of(int64_t which) {
  static constexpr const char* kNames[] = {"ping", "info", "500 lines of 100", "10 blocks of 64 KiB"};
  return kNames[which];
}

wire::Encoding encoding(const benchmark::State& state) {
  return state.range(0) == 0 ? wire::Encoding::kJson : wire::Encoding::kMsgpack;
}

void label(benchmark::State& state, size_t bytes) {
  state.SetLabel(std::string(state.range(0) == 0 ? "JSON, " : "msgpack, ") + name_of(state.range(1)));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}

void encode(benchmark::State& state) {
  const Json message = document(state.range(1));
  size_t bytes = 0;
  for (auto _ : state) {
    const std::string frame = wire::encode_frame(message, encoding(state));
    bytes = frame.size();
    benchmark::DoNotOptimize(frame.data());
  }
  label(state, bytes);
}

void decode(benchmark::State& state) {
  const std::string frame = wire::encode_frame(document(state.range(1)), encoding(state));
  wire::Framer framer(2 * wire::kMaxReply, wire::reply_limits(), encoding(state));
  for (auto _ : state) {
    framer.feed(frame);
    auto message = framer.next();
    if (!message || !*message) return state.SkipWithError("the frame cannot be decoded");
    benchmark::DoNotOptimize(*message);
  }
  label(state, frame.size());
}

BENCHMARK(encode)->ArgsProduct({{0, 1}, {kPing, kInfo, kLines, kBlocks}});
BENCHMARK(decode)->ArgsProduct({{0, 1}, {kPing, kInfo, kLines, kBlocks}});

}  // namespace
