// A stream of msgpack objects. The first byte says how it is cut into pieces, the rest is what arrives. What
// our scanner takes for an object must be one to msgpack-c, which then allocates for it.
#include <msgpack.hpp>

#include "protocol/wire/limits.h"
#include "protocol/wire/msgpack_scanner.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/fuzz_target.h"

using namespace bgtask;

namespace {

bool library_accepts(std::string_view bytes, size_t& end) {
  try {
    msgpack::unpack(bytes.data(), bytes.size(), end, nullptr, nullptr,
                    msgpack::unpack_limit(bytes.size(), bytes.size(), bytes.size(), bytes.size(), 0, 64));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void compare_with_library(std::string_view bytes) {
  wire::MsgpackScanner scanner(wire::request_limits(), wire::kMaxRequest);
  const auto progress = scanner.scan(bytes);
  size_t end = 0;
  const bool accepted = library_accepts(bytes, end);
  if (progress == wire::MsgpackScanner::Progress::kComplete) {
    fuzz::require(accepted && end == scanner.end(), "what the scanner accepts the library accepts");
    const auto document = wire::decode_msgpack(bytes.substr(0, end), wire::request_limits());
    // The scanner counts keys as values and does not look at their type.
    fuzz::require(document || document.error().code == ErrorCode::kFrameTooLarge ||
                      document.error().message.find("key") != std::string::npos,
                  "what the scanner accepts is decoded, but for its number of elements and types of keys");
  } else if (progress == wire::MsgpackScanner::Progress::kNeedMore) {
    fuzz::require(!accepted, "the scanner waits for nothing that the library needs not");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint8_t cut = input.byte();
  const std::string_view bytes = input.rest();
  fuzz::check_frames(wire::Encoding::kMsgpack, bytes, 1 + cut % 64, cut < 128 ? wire::kMaxRequest : 256);
  compare_with_library(bytes);
  return 0;
}
