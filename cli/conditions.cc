#include "cli/conditions.h"

#include <bgtask/task_pool.h>

#include <algorithm>
#include <utility>

#include "cli/escaping.h"
#include "cli/output_format.h"
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

Condition Condition::parse(const std::string& text, Comparison comparison) {
  Condition condition;
  condition.comparison_ = comparison;
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

bool Condition::equals(const Json& value) const {
  if (comparison_ == Comparison::kSearch)
    return equal_in_search(value_, value) || equal_in_search(parse_value(value_), value);
  const std::string text = plain_text(value);
  return text == value_ || escaped(text) == value_;
}

bool Condition::holds_for(const Json& document) const {
  const Json* value = find_value(document, key_);
  if (kind_ == Kind::kExists) return value != nullptr;
  if (value == nullptr) return kind_ == Kind::kDiffers;
  const bool equal = equals(*value);
  return kind_ == Kind::kEqual ? equal : !equal && !value->is_null();
}

std::vector<Condition> parse_conditions(const std::string& text, Comparison comparison) {
  std::vector<Condition> conditions;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto end = std::min(text.find(',', begin), text.size());
    conditions.push_back(Condition::parse(text.substr(begin, end - begin), comparison));
    begin = end + 1;
  }
  return conditions;
}

Json parse_value(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded() || value.is_string()) return text;
  if (value.is_number() && value.dump() != text) return text;
  return value;
}

namespace {

// "key=value" at its first "=".
std::pair<std::string, std::string> split_assignment(const std::string& text, const char* form) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) throw UsageError("'" + text + "' is not " + form);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

Json parse_assignment(const std::string& text) {
  const auto [key, value] = split_assignment(text, "k=v");
  return {{key, parse_value(value)}};
}

Json parse_json_assignment(const std::string& text) {
  const auto [key, value] = split_assignment(text, "k=JSON");
  Json json = Json::parse(value, nullptr, false);
  if (json.is_discarded()) throw UsageError("'" + value + "' is not JSON; a text needs quotes: '\"...\"'");
  return {{key, std::move(json)}};
}

void check_task_name(const Json& meta) {
  const auto name = meta.find("name");
  if (name == meta.end() || name->is_null()) return;
  const std::string text = plain_text(*name);
  if (text.empty()) throw UsageError("a task's name cannot be empty");
  if (text.starts_with('@'))
    throw UsageError("'" + text + "' cannot be a name: @ begins words such as @last");
}

}  // namespace bgtask::cli
