#include "protocol/wire/plain_json.h"

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace bgtask::wire {
namespace {

class Builder {
 public:
  explicit Builder(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  Json value() {
    switch (*at_) {
      case '{':
        return object();
      case '[':
        return array();
      case '"':
        return string();
      case 't':
        at_ += 4;
        return true;
      case 'f':
        at_ += 5;
        return false;
      case 'n':
        at_ += 4;
        return nullptr;
      default:
        return number();
    }
  }

 private:
  void blanks() {
    while (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')
      ++at_;
  }

  // After '{', '[' or an element: whether another element follows.
  bool another(char close) {
    blanks();
    if (*at_ == ',') {
      ++at_;
      blanks();
    }
    if (*at_ != close) return true;
    ++at_;
    return false;
  }

  Json object() {
    Json::object_t members;
    ++at_;
    while (another('}')) {
      std::string key = string();
      blanks();
      ++at_;  // the colon
      blanks();
      members.insert_or_assign(std::move(key), value());
    }
    return members;
  }

  Json array() {
    Json::array_t elements;
    ++at_;
    while (another(']'))
      elements.push_back(value());
    return elements;
  }

  std::string string() {
    const char* begin = ++at_;
    while (*at_ != '"' && *at_ != '\\')
      ++at_;
    std::string text(begin, at_);
    while (*at_ != '"') {
      text += *at_ == '\\' ? unescaped(*++at_) : *at_;
      ++at_;
    }
    ++at_;
    return text;
  }

  static char unescaped(char escape) {
    constexpr char kEscapes[] = "bfnrt";
    constexpr char kMeanings[] = "\b\f\n\r\t";
    const char* found = std::strchr(kEscapes, escape);
    return found != nullptr ? kMeanings[found - kEscapes] : escape;
  }

  Json number() {
    std::int64_t whole = 0;
    const auto [after, error] = std::from_chars(at_, end_, whole);
    if (after == end_ || *after != '.') {
      const bool negative = *at_ == '-';
      at_ = after;
      return negative ? Json(whole) : Json(static_cast<std::uint64_t>(whole));
    }
    double fraction = 0;
    at_ = std::from_chars(at_, end_, fraction).ptr;
    return fraction;
  }

  const char* at_;
  const char* end_;
};

}  // namespace

Json plain_json(std::string_view text) {
  return Builder(text).value();
}

}  // namespace bgtask::wire
