#include "protocol/wire/json_members.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/wire/plain_json.h"

namespace bgtask::wire {

// One pass over a text. It accepts a subset of JSON and leaves the rest (numeric escapes, exponents, very
// long numbers) to the parser.
class MemberScan {
 public:
  MemberScan(JsonMembers& into, DecodeLimits limits) : into_(into), text_(into.text_), limits_(limits) {}

  bool run() {
    if (text_.size() >= UINT32_MAX) return false;
    blanks();
    const bool plain = peek() == '{' && object(0);
    blanks();
    return plain && at_ == text_.size();
  }

 private:
  static constexpr size_t kLongNumber = 18;

  // The string's terminating '\0' ends the text; it is not JSON.
  char peek() const { return text_.data()[at_]; }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  void blanks() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r')
      ++at_;
  }
  bool word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }

  bool value(size_t depth) {
    switch (peek()) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return count() && string();
      case 't':
        return count() && word("true");
      case 'f':
        return count() && word("false");
      case 'n':
        return count() && word("null");
      default:
        return count() && number();
    }
  }

  bool count() { return ++elements_ <= limits_.elements; }
  bool open(size_t depth) { return depth < limits_.depth && count(); }

  bool array(size_t depth) {
    ++at_;
    if (!open(depth)) return false;
    blanks();
    if (take(']')) return true;
    for (;;) {
      blanks();
      if (!value(depth + 1)) return false;
      blanks();
      if (take(']')) return true;
      if (!take(',')) return false;
    }
  }

  bool object(size_t depth) {
    ++at_;
    if (!open(depth)) return false;
    blanks();
    if (take('}')) return true;
    for (;;) {
      blanks();
      const size_t key = at_;
      if (peek() != '"' || !string()) return false;
      const size_t key_end = at_;
      blanks();
      if (!take(':')) return false;
      blanks();
      const size_t begin = at_;
      if (!value(depth + 1)) return false;
      if (depth == 0 && !add(key + 1, key_end - 1, begin)) return false;
      blanks();
      if (take('}')) return true;
      if (!take(',')) return false;
    }
  }

  bool add(size_t key, size_t key_end, size_t begin) {
    const auto span = [](size_t from, size_t to) {
      return JsonMembers::Span{static_cast<uint32_t>(from), static_cast<uint32_t>(to - from)};
    };
    if (std::memchr(text_.data() + key, '\\', key_end - key) != nullptr) return false;
    into_.members_.push_back({span(key, key_end), span(begin, at_)});
    return true;
  }

  bool string() {
    const size_t begin = ++at_;
    unsigned char all = 0;
    for (;;) {
      const auto c = static_cast<unsigned char>(peek());
      if (c == '"') break;
      if (c < 0x20) return false;
      ++at_;
      all |= c;
      if (c != '\\') continue;
      if (peek() == '\0' || std::strchr("\"\\/bfnrt", peek()) == nullptr) return false;
      ++at_;
    }
    const std::string_view content = text_.substr(begin, at_ - begin);
    ++at_;
    return all < 0x80 || is_utf8(content);
  }

  bool digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9')
      ++at_;
    return at_ > begin;
  }

  bool number() {
    const size_t begin = at_;
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    return at_ - begin <= kLongNumber && peek() != 'e' && peek() != 'E';
  }

  JsonMembers& into_;
  std::string_view text_;
  DecodeLimits limits_;
  size_t at_ = 0;
  size_t elements_ = 0;
};

Result<JsonMembers> JsonMembers::of(std::string text, DecodeLimits limits) {
  JsonMembers members;
  members.text_ = std::move(text);
  members.members_.reserve(32);
  if (MemberScan(members, limits).run()) return members;
  members.members_.clear();
  Result<Json> whole = decode_json(members.text_, limits);
  if (!whole) return fail(std::move(whole).error());
  if (!whole->is_object()) return fail(ErrorCode::kParseError, "not an object");
  members.whole_ = std::move(*whole);
  return members;
}

std::optional<Json> JsonMembers::find(std::string_view key) const {
  if (whole_) {
    const auto found = whole_->find(key);
    return found != whole_->end() ? std::optional<Json>(*found) : std::nullopt;
  }
  // The last of two equal keys wins, as in the parser.
  const auto found = std::find_if(members_.rbegin(), members_.rend(),
                                  [&](const Member& member) { return view(member.key) == key; });
  if (found == members_.rend()) return std::nullopt;
  return plain_json(view(found->value));
}

Json JsonMembers::get(std::string_view key) const {
  return find(key).value_or(Json(nullptr));
}

Json JsonMembers::document() const {
  return whole_ ? *whole_ : plain_json(std::string_view(text_).substr(text_.find('{')));
}

}  // namespace bgtask::wire
