#include "cli/run_options.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include "cli/conditions.h"
#include "cli/env_file.h"
#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

std::uint64_t parse_limit(const std::string& text) {
  if (text == "unlimited" || text == "infinity") return ResourceLimit::kUnlimited;
  return parse_size(text);
}

template <typename Number>
bool parse_whole(const std::string& text, int base, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

namespace {

void set_or_take(SpawnOptions& options, const std::string& name, const std::optional<std::string>& value) {
  if (value) {
    options.env[name] = *value;
  } else if (const char* own = std::getenv(name.c_str())) {
    options.env[name] = own;
  }
}

}  // namespace

void add_environment(SpawnOptions& options, const std::string& text) {
  const auto equals = text.find('=');
  const std::string name = text.substr(0, equals);
  if (name.empty()) throw UsageError("'" + text + "' is not NAME=VALUE or NAME");
  std::optional<std::string> value;
  if (equals != std::string::npos) value = text.substr(equals + 1);
  set_or_take(options, name, value);
}

void add_environment_file(SpawnOptions& options, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UsageError("cannot read " + path + ": " + std::strerror(errno));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) throw UsageError("cannot read " + path + ": " + std::strerror(errno));
  for (const auto& [name, value] : parse_environment_file(text, path))
    set_or_take(options, name, value);
}

void add_meta(SpawnOptions& options, const std::string& text) {
  if (!text.starts_with("{")) {
    options.meta.update(parse_assignment(text));
    return;
  }
  const Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) throw UsageError("'" + text + "' is not a JSON object");
  options.meta.update(object);
}

void add_meta_json(SpawnOptions& options, const std::string& text) {
  options.meta.update(parse_json_assignment(text));
}

void add_limit(SpawnOptions& options, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) throw UsageError("'" + text + "' is not NAME=SOFT[:HARD]");
  const std::string values = text.substr(equals + 1);
  const auto colon = values.find(':');
  const std::uint64_t soft = parse_limit(values.substr(0, colon));
  const std::uint64_t hard = colon == std::string::npos ? soft : parse_limit(values.substr(colon + 1));
  options.limits[text.substr(0, equals)] = ResourceLimit(soft, hard);
}

mode_t parse_umask(const std::string& text) {
  mode_t mask = 0;
  if (!parse_whole(text, 8, mask) || mask > 0777)
    throw UsageError("'" + text + "' is not an octal mask such as 022");
  return mask;
}

double parse_cpus(const std::string& text) {
  double cpus = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpus);
  if (error != std::errc() || end != text.data() + text.size() || !(cpus > 0)) {
    throw UsageError("'" + text + "' is not a number of processors, such as 2 or 0.5");
  }
  return cpus;
}

int parse_nice(const std::string& text) {
  int nice = 0;
  const std::string digits = text.starts_with('+') ? text.substr(1) : text;
  if (!parse_whole(digits, 10, nice) || nice < -40 || nice > 40) {
    throw UsageError("'" + text + "' is not a number from -40 to 40");
  }
  return nice;
}

}  // namespace bgtask::cli
