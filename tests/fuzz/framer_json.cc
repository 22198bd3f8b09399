// JSON lines. The first byte says how they are cut into pieces, the rest is what arrives.
#include <nlohmann/json.hpp>

#include "protocol/wire/limits.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz_target.h"

using namespace bgtask;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint8_t cut = input.byte();
  const std::string_view bytes = input.rest();
  fuzz::check_frames(wire::Encoding::kJson, bytes, 1 + cut % 64, cut < 128 ? wire::kMaxRequest : 256);
  const auto document = wire::decode_json(bytes, wire::request_limits());
  fuzz::require(!document || nlohmann::json::accept(bytes), "what we take for JSON is JSON");
  return 0;
}
