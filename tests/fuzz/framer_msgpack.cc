// A stream of msgpack objects. The first byte says how it is cut into pieces, the rest is what arrives, or a
// short form of it. What our scanner takes for an object must be one to msgpack-c, which then allocates for
// it.
#include <msgpack.hpp>
#include <string>

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

// A framer treats values specially that are longer than any input here. So three bytes may stand for many:
// 0xc1, which begins no value, then n and what comes 256 n times.
std::string drawn_out(std::string_view form) {
  std::string bytes;
  while (!form.empty()) {
    const bool many = form[0] == '\xc1' && form.size() >= 3 && bytes.size() < 2 * wire::kMaxRequest;
    if (many) {
      bytes.append(size_t{256} * static_cast<uint8_t>(form[1]), form[2]);
    } else {
      bytes += form[0];
    }
    form.remove_prefix(many ? 3 : 1);
  }
  return bytes;
}

void check(std::string_view bytes, size_t piece, size_t max_frame) {
  fuzz::check_frames(wire::Encoding::kMsgpack, bytes, piece, max_frame);
  compare_with_library(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint8_t cut = input.byte();
  const size_t step = 1 + cut % 64;
  const bool longest = cut < 128;
  if ((cut & 64) == 0) {
    check(input.rest(), step, longest ? wire::kMaxRequest : 256);
  } else {
    check(drawn_out(input.rest()), step * 509, longest ? wire::kMaxRequest : wire::kMaxRequest * 3 / 4);
  }
  return 0;
}
