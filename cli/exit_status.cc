#include "cli/exit_status.h"

#include <csignal>
#include <cstring>

namespace bgtask::cli {
namespace {

std::optional<int> small_number(std::string_view digits) {
  if (digits.empty() || digits.size() > 2) return std::nullopt;
  int value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<int> realtime_number(std::string_view name) {
  const bool from_max = name.starts_with("RTMAX");
  if (!from_max && !name.starts_with("RTMIN")) return std::nullopt;
  const int base = from_max ? SIGRTMAX : SIGRTMIN;
  name.remove_prefix(5);
  if (name.empty()) return base;
  if (name.front() != (from_max ? '-' : '+')) return std::nullopt;
  const auto offset = small_number(name.substr(1));
  if (!offset || *offset > SIGRTMAX - SIGRTMIN) return std::nullopt;
  return from_max ? base - *offset : base + *offset;
}

}  // namespace

std::optional<int> signal_number(std::string_view name) {
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int number = 1; number < SIGRTMIN; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known != nullptr && name == known) return number;
  }
  return realtime_number(name);
}

int exit_status_of(const Json& status) {
  if (!status.is_object()) return kExitFailure;
  if (status.value("reason", Json()) == "timeout") return kExitTimeout;
  const auto code = status.find("exit_code");
  if (code != status.end() && code->is_number_integer()) return code->get<int>() & 0xff;
  const auto signal = status.find("signal");
  if (signal == status.end()) return kExitFailure;
  if (signal->is_number_integer()) return kExitSignalBase + signal->get<int>();
  if (!signal->is_string()) return kExitFailure;
  const auto number = signal_number(signal->get<std::string>());
  return number ? kExitSignalBase + *number : kExitFailure;
}

bool knows_end(const Json& status) {
  if (!status.is_object()) return false;
  return !status.value("exit_code", Json()).is_null() || !status.value("signal", Json()).is_null();
}

}  // namespace bgtask::cli
