#include <bit>
#include <msgpack.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
      for (const auto& [key, child] : value.get_ref<const Json::object_t&>()) {
        pack_bytes(buffer, key.data(), key.size(), true);
        pack(buffer, child);
      }
      break;
  }
}

// Makes the document while the bytes are gone through: no tree of the library's objects in between.
class Builder : public msgpack::null_visitor {
 public:
  Builder(const char* bytes, size_t budget, std::vector<SetApart> apart)
      : bytes_(bytes), budget_(budget), apart_(std::move(apart)) {}

  bool visit_nil() { return put(nullptr); }
  bool visit_boolean(bool value) { return put(value); }
  bool visit_positive_integer(uint64_t value) { return put(value); }
  bool visit_negative_integer(int64_t value) { return put(value); }
  bool visit_float32(float value) { return put(static_cast<double>(value)); }
  bool visit_float64(double value) { return put(value); }
  bool visit_bin(const char* data, uint32_t size) {
    SetApart* apart = apart_at(data);
    return put(apart != nullptr ? std::move(apart->value) : binary_value({data, size}));
  }
  bool visit_ext(const char*, uint32_t) { return refuse("msgpack extension types are not used"); }
  bool visit_str(const char* data, uint32_t size) {
    SetApart* apart = apart_at(data);
    if (!in_key_) return put(apart != nullptr ? std::move(apart->value) : Json(std::string(data, size)));
    if (apart != nullptr) {
      key_ = std::move(apart->value.get_ref<std::string&>());
    } else {
      key_.assign(data, size);
    }
    // JSON has no other keys, and what is taken here is published there.
    return is_utf8(key_) || refuse("a map key is not a UTF-8 string");
  }
  bool start_array(uint32_t) { return open(Json::array()); }
  bool start_map(uint32_t) { return open(Json::object()); }
  bool end_array() { return close(); }
  bool end_map() { return close(); }
  bool start_map_key() { return in_key_ = true; }
  bool end_map_key() {
    in_key_ = false;
    return true;
  }

  Json& document() { return document_; }
  /// Why it is refused, where that is not for being malformed.
  std::optional<Failure>& refused() { return refused_; }

 private:
  bool refuse(const char* why) {
    refused_ = Failure{ErrorCode::kParseError, std::string("not a message: ") + why, 0, nullptr};
    return false;
  }

  SetApart* apart_at(const char* data) {
    const bool here = next_ < apart_.size() && bytes_ + apart_[next_].at == data;
    return here ? &apart_[next_++] : nullptr;
  }

  bool put(Json value) { return place(std::move(value)) != nullptr; }

  bool open(Json container) {
    Json* placed = place(std::move(container));
    if (placed == nullptr) return false;
    open_.push_back(placed);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  Json* place(Json value) {
    if (in_key_) {
      refuse("a map key is not a UTF-8 string");
      return nullptr;
    }
    if (budget_-- == 0) {
      refused_ =
          Failure{ErrorCode::kFrameTooLarge, "the message is too large: too many elements", 0, nullptr};
      return nullptr;
    }
    if (open_.empty()) return &(document_ = std::move(value));
    if (open_.back()->is_array()) return &open_.back()->emplace_back(std::move(value));
    // What one of us has packed has its keys in order.
    auto& map = open_.back()->get_ref<Json::object_t&>();
    return &map.insert_or_assign(map.end(), std::move(key_), std::move(value))->second;
  }

  const char* bytes_;
  size_t budget_;
  std::vector<SetApart> apart_;
  size_t next_ = 0;  // of them
  Json document_;
  std::vector<Json*> open_;  // containers that have not ended, from the outermost on
  std::string key_;
  bool in_key_ = false;
  std::optional<Failure> refused_;
};

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

}  // namespace

Result<Json> decode_scanned(std::string_view bytes, DecodeLimits limits, std::vector<SetApart> apart) {
  try {
    Builder builder(bytes.data(), limits.elements, std::move(apart));
    if (msgpack::parse(bytes.data(), bytes.size(), builder)) return std::move(builder.document());
    return fail(builder.refused().value_or(scan_failure(MsgpackScanner::Progress::kMalformed)));
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kNoMemory, "no memory to decode the message");
  } catch (const std::exception&) {
    return fail(scan_failure(MsgpackScanner::Progress::kMalformed));
  }
}

Result<Json> decode_msgpack(std::string_view bytes, DecodeLimits limits) {
  MsgpackScanner scanner(limits, bytes.size());
  MsgpackScanner::Progress progress = scanner.scan(bytes);
  if (progress != MsgpackScanner::Progress::kComplete) return fail(scan_failure(progress));
  if (scanner.end() != bytes.size()) return fail(scan_failure(MsgpackScanner::Progress::kMalformed));
  return decode_scanned(bytes, limits);
}

std::string encode_msgpack(const Json& document) {
  Buffer buffer;
  buffer.bytes.reserve(kRoundIt);
  pack(buffer, document);
  return std::move(buffer.bytes);
}

std::string encode_request_head(const Json& id, std::string_view method, const Json& params,
                                std::string_view last, size_t size) {
  Buffer buffer;
  Packer packer(buffer);
  auto pack_text = [&](std::string_view text) { pack_bytes(buffer, text.data(), text.size(), true); };
  packer.pack_map(4);
  pack_text("jsonrpc");
  pack_text("2.0");
  pack_text("id");
  pack(buffer, id);
  pack_text("method");
  pack_text(method);
  pack_text("params");
  packer.pack_map(static_cast<uint32_t>(params.size()) + 1);
  for (const auto& [key, value] : params.items()) {
    pack_text(key);
    pack(buffer, value);
  }
  pack_text(last);
  packer.pack_bin(static_cast<uint32_t>(size));
  return std::move(buffer.bytes);
}

namespace {

std::string line_of(std::string text) {
  text.push_back('\n');
  return text;
}

}  // namespace

std::string encode_frame(const Json& document, Encoding encoding) {
  return encoding == Encoding::kMsgpack ? encode_msgpack(document) : line_of(encode_json(document));
}

std::string encode_frame(Json&& document, Encoding encoding) {
  return encoding == Encoding::kMsgpack ? encode_msgpack(document)
                                        : line_of(encode_json(std::move(document)));
}

}  // namespace bgtask::wire
