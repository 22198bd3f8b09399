#include <algorithm>
#include <bit>
#include <msgpack.hpp>
#include <string>
#include <utility>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/msgpack_scanner.h"

namespace bgtask::wire {
namespace {

// Not the library's sbuffer: that allocates with malloc, and so without the reserve that a supervisor has for
// operator new.
struct Buffer {
  std::string bytes;
  void write(const char* data, size_t size) { bytes.append(data, size); }
};

using Packer = msgpack::packer<Buffer>;

constexpr size_t kLong = 4096;
constexpr size_t kRoundIt = 1024;  // what is likely to stand in the message beside a long string

void pack_bytes(Buffer& buffer, const char* data, size_t size, bool text) {
  // Else the little that follows would have all of it moved to another place.
  if (size >= kLong) buffer.bytes.reserve(buffer.bytes.size() + size + kRoundIt);
  Packer packer(buffer);
  auto length = static_cast<uint32_t>(size);
  if (text) {
    packer.pack_str(length).pack_str_body(data, length);
  } else {
    packer.pack_bin(length).pack_bin_body(data, length);
  }
}

// Not the library's pack_double(): it makes integers of whole numbers, and to find them it converts every
// double to an integer, which is undefined for most of them.
void pack_float(Buffer& buffer, double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  char bytes[9] = {'\xcb'};
  for (int i = 0; i < 8; ++i)
    bytes[1 + i] = static_cast<char>(bits >> (56 - 8 * i) & 0xff);
  buffer.write(bytes, sizeof bytes);
}

void pack(Buffer& buffer, const Json& value) {
  Packer packer(buffer);
  switch (value.type()) {
    case Json::value_t::null:
    case Json::value_t::discarded:
      packer.pack_nil();
      break;
    case Json::value_t::boolean:
      value.get<bool>() ? packer.pack_true() : packer.pack_false();
      break;
    case Json::value_t::number_integer:
      packer.pack_int64(value.get<int64_t>());
      break;
    case Json::value_t::number_unsigned:
      packer.pack_uint64(value.get<uint64_t>());
      break;
    case Json::value_t::number_float:
      pack_float(buffer, value.get<double>());
      break;
    case Json::value_t::string: {
      const auto& text = value.get_ref<const std::string&>();
      pack_bytes(buffer, text.data(), text.size(), is_utf8(text));
      break;
    }
    case Json::value_t::binary: {
      const auto& binary = value.get_binary();
      pack_bytes(buffer, reinterpret_cast<const char*>(binary.data()), binary.size(), false);
      break;
    }
    case Json::value_t::array:
      packer.pack_array(static_cast<uint32_t>(value.size()));
      for (const auto& child : value)
        pack(buffer, child);
      break;
    case Json::value_t::object:
      packer.pack_map(static_cast<uint32_t>(value.size()));
      for (const auto& [key, child] : value.items()) {
        pack_bytes(buffer, key.data(), key.size(), true);
        pack(buffer, child);
      }
      break;
  }
}

// What is unpacked of a small message needs no more than a little: 8 KiB at once would be two pages that
// stay.
constexpr size_t kSmallZone = 512;
constexpr size_t kObjectBytes = 2;  // for each byte of a message, about: strings stay where they are

// Raised by convert() and caught in decode_msgpack().
struct Refused {
  Failure failure;
};

Json convert(const msgpack::object& object, size_t& budget) {
  if (budget-- == 0)
    throw Refused{{ErrorCode::kFrameTooLarge, "the message is too large: too many elements", 0, nullptr}};
  switch (object.type) {
    case msgpack::type::NIL:
      return nullptr;
    case msgpack::type::BOOLEAN:
      return object.via.boolean;
    case msgpack::type::POSITIVE_INTEGER:
      return object.via.u64;
    case msgpack::type::NEGATIVE_INTEGER:
      return object.via.i64;
    case msgpack::type::FLOAT32:
    case msgpack::type::FLOAT64:
      return object.via.f64;
    case msgpack::type::STR:
      return std::string(object.via.str.ptr, object.via.str.size);
    case msgpack::type::BIN:
      return binary_value({object.via.bin.ptr, object.via.bin.size});
    case msgpack::type::ARRAY: {
      Json list = Json::array();
      for (uint32_t i = 0; i < object.via.array.size; ++i)
        list.push_back(convert(object.via.array.ptr[i], budget));
      return list;
    }
    case msgpack::type::MAP: {
      Json map = Json::object();
      for (uint32_t i = 0; i < object.via.map.size; ++i) {
        const auto& [key, value] = object.via.map.ptr[i];
        // JSON has no other keys, and what is taken here is published there.
        if (key.type != msgpack::type::STR || !is_utf8({key.via.str.ptr, key.via.str.size})) {
          throw Refused{
              {ErrorCode::kParseError, "not a message: a map key is not a UTF-8 string", 0, nullptr}};
        }
        map[std::string(key.via.str.ptr, key.via.str.size)] = convert(value, budget);
      }
      return map;
    }
    default:
      throw Refused{
          {ErrorCode::kParseError, "not a message: msgpack extension types are not used", 0, nullptr}};
  }
}

Failure scan_failure(MsgpackScanner::Progress progress) {
  switch (progress) {
    case MsgpackScanner::Progress::kTooDeep:
      return {ErrorCode::kTooDeep, "the message is nested too deeply", 0, nullptr};
    case MsgpackScanner::Progress::kTooLarge:
      return {ErrorCode::kFrameTooLarge, "the message is too large: too many elements or too many bytes", 0,
              nullptr};
    default:
      return {ErrorCode::kParseError, "not one whole msgpack object", 0, nullptr};
  }
}

// msgpack-c's own defaults accept a million levels and 2^32 elements.
msgpack::unpack_limit unpack_limit(DecodeLimits limits, size_t max_bytes) {
  return msgpack::unpack_limit(limits.elements, limits.elements, max_bytes, max_bytes, 0, limits.depth);
}

// Strings need not be copied twice: the document is made before the bytes go.
bool in_place(msgpack::type::object_type, size_t, void*) {
  return true;
}

}  // namespace

Result<Json> decode_msgpack(std::string_view bytes, DecodeLimits limits) {
  MsgpackScanner scanner(limits, bytes.size());
  MsgpackScanner::Progress progress = scanner.scan(bytes);
  if (progress != MsgpackScanner::Progress::kComplete) return fail(scan_failure(progress));
  if (scanner.end() != bytes.size()) return fail(scan_failure(MsgpackScanner::Progress::kMalformed));
  try {
    msgpack::zone zone(std::clamp(kObjectBytes * bytes.size(), kSmallZone, size_t{MSGPACK_ZONE_CHUNK_SIZE}));
    const msgpack::object object = msgpack::unpack(zone, bytes.data(), bytes.size(), in_place, nullptr,
                                                   unpack_limit(limits, bytes.size()));
    size_t budget = limits.elements;
    return convert(object, budget);
  } catch (Refused& refused) {
    return fail(std::move(refused.failure));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kNoMemory, "no memory to decode the message");
  } catch (const std::exception&) {
    return fail(scan_failure(MsgpackScanner::Progress::kMalformed));
  }
}

std::string encode_msgpack(const Json& document) {
  Buffer buffer;
  pack(buffer, document);
  return std::move(buffer.bytes);
}

std::string encode_frame(const Json& document, Encoding encoding) {
  if (encoding == Encoding::kMsgpack) return encode_msgpack(document);
  std::string line = encode_json(document);
  line.push_back('\n');
  return line;
}

}  // namespace bgtask::wire
