#include "cli/conditions.h"

#include <bgtask/task_pool.h>

#include <algorithm>

#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

bool equal_in_search(const Json& wanted, const Json& value) {
  return matches(Json{{"value", wanted}}, Json{{"value", value}});
}

const Json* member(const Json& document, std::string_view key) {
  if (!document.is_object()) return nullptr;
  const auto found = document.find(std::string(key));
  return found == document.end() ? nullptr : &*found;
}

}  // namespace

const Json* find_value(const Json& document, std::string_view key) {
  if (const Json* direct = member(document, key)) return direct;
  for (auto dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.', dot + 1)) {
    const Json* inner = member(document, key.substr(0, dot));
    if (inner == nullptr) continue;
    if (const Json* found = find_value(*inner, key.substr(dot + 1))) return found;
  }
  return nullptr;
}

Condition Condition::parse(const std::string& text) {
  Condition condition;
  const auto equals = text.find('=');
  if (equals == std::string::npos) {
    condition.key_ = text;
  } else {
    const bool differs = equals > 0 && text[equals - 1] == '!';
    condition.kind_ = differs ? Kind::kDiffers : Kind::kEqual;
    condition.key_ = text.substr(0, differs ? equals - 1 : equals);
    condition.value_ = text.substr(equals + 1);
  }
  if (condition.key_.empty()) throw UsageError("'" + text + "' is not k=v, k!=v or k");
  return condition;
}

bool Condition::holds_for(const Json& document) const {
  const Json* value = find_value(document, key_);
  if (kind_ == Kind::kExists) return value != nullptr;
  const bool equal =
      value != nullptr && (equal_in_search(value_, *value) || equal_in_search(parse_value(value_), *value));
  return equal == (kind_ == Kind::kEqual);
}

std::vector<Condition> parse_conditions(const std::string& text) {
  std::vector<Condition> conditions;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto end = std::min(text.find(',', begin), text.size());
    conditions.push_back(Condition::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return conditions;
}

Json parse_value(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded() || value.is_string()) return text;
  return value;
}

Json parse_assignment(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) throw UsageError("'" + text + "' is not k=v");
  return {{text.substr(0, equals), parse_value(text.substr(equals + 1))}};
}

}  // namespace bgtask::cli
