#include "tests/fuzz/frames.h"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "protocol/wire/launch.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/message.h"
#include "protocol/wire/methods.h"
#include "tests/fuzz/fuzz_target.h"

namespace bgtask::fuzz {
namespace {

// Wide enough for what our own encoders make of any document: a base64 object is a level and an element more.
constexpr wire::DecodeLimits kWide{2 * wire::kMaxDepth, 4 * wire::kMaxElements};

// Compared as they are encoded: NaN is not equal to itself, and bytes are strings or binaries.
void survive_encoding(const Json& document, wire::Encoding encoding) {
  const bool json = encoding == wire::Encoding::kJson;
  const std::string encoded = json ? wire::encode_json(document) : wire::encode_msgpack(document);
  const auto decoded = json ? wire::decode_json(encoded, kWide) : wire::decode_msgpack(encoded, kWide);
  require(decoded.has_value(), "what we encode can be decoded");
  const std::string twice = json ? wire::encode_json(*decoded) : wire::encode_msgpack(*decoded);
  require(twice == encoded, "a message that was encoded and decoded encodes to the same");
}

void use(const Json& document) {
  static_cast<void>(wire::launch_spec(document));
  if (document.is_object()) {
    for (const wire::Method& method : wire::methods())
      static_cast<void>(wire::validate(method, document));
  }
  Json taken = document;
  const auto request = wire::parse_request(taken);
  if (!request) return;
  const wire::Method* method = wire::find_method(request->method);
  if (method == nullptr) return;
  const Status valid = wire::validate(*method, request->params);
  if (!valid) {
    require(valid.error().code == ErrorCode::kBadArgument && valid.error().data.contains("parameter"),
            "a request that is not valid is refused for a parameter");
  }
}

// Where the framer offers room it gets what fits into it there. How many bytes of `piece` it has taken.
size_t deliver(wire::Framer& framer, std::string_view piece, bool into_room) {
  const std::span<char> room = into_room ? framer.room() : std::span<char>();
  if (room.empty()) {
    framer.feed(piece);
    return piece.size();
  }
  const std::string_view received = piece.substr(0, room.size());
  std::ranges::copy(received, room.begin());
  framer.received(received.size());
  return received.size();
}

// A run of one byte may be as many messages: more of them show nothing new and take long.
constexpr size_t kMostMessages = 256;

/// What comes out of a stream, message by message, and how it ends. Two of three pieces go where there is
/// room for them.
std::vector<std::string> messages_of(wire::Encoding encoding, std::string_view bytes, size_t piece,
                                     size_t max_frame, void (*look)(const Json&)) {
  wire::Framer framer(max_frame, wire::request_limits(), encoding);
  std::vector<std::string> messages;
  for (size_t number = 0; !bytes.empty(); ++number) {
    bytes.remove_prefix(deliver(framer, bytes.substr(0, piece), number % 3 != 0));
    while (const auto frame = framer.next()) {
      if (messages.size() == kMostMessages) return messages;
      if (!*frame) {
        messages.push_back("error " + std::string(word(frame->error().code)));
        continue;
      }
      require(framer.last_frame_size() <= max_frame, "no frame is longer than the longest");
      messages.push_back(wire::encode_msgpack(**frame));
      look(**frame);
    }
  }
  messages.push_back(framer.broken() ? "broken" : framer.in_frame() ? "in a frame" : "between frames");
  return messages;
}

}  // namespace

void check_frames(wire::Encoding encoding, std::string_view bytes, size_t piece, size_t max_frame) {
  const auto whole = messages_of(encoding, bytes, bytes.size() + 1, max_frame, [](const Json& document) {
    survive_encoding(document, wire::Encoding::kJson);
    survive_encoding(document, wire::Encoding::kMsgpack);
    use(document);
  });
  const auto pieces = messages_of(encoding, bytes, piece, max_frame, [](const Json&) {});
  require(whole == pieces, "a stream means the same however it is cut into pieces");
}

}  // namespace bgtask::fuzz
