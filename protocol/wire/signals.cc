#include "protocol/wire/signals.h"

#include <cctype>
#include <charconv>
#include <csignal>
#include <iterator>

namespace bgtask::wire {
namespace {

struct Named {
  std::string_view name;
  int number;
};

// The first name of a number is the one signal_name gives.
constexpr Named kNames[] = {
    {"HUP", SIGHUP},     {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"ABRT", SIGABRT},   {"BUS", SIGBUS},       {"FPE", SIGFPE},   {"KILL", SIGKILL}, {"USR1", SIGUSR1},
    {"SEGV", SIGSEGV},   {"USR2", SIGUSR2},     {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"STKFLT", 16},      {"CHLD", SIGCHLD},     {"CONT", SIGCONT}, {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},   {"TTOU", SIGTTOU},     {"URG", SIGURG},   {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
    {"WINCH", SIGWINCH}, {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"IO", SIGIO},     {"PWR", SIGPWR},
    {"SYS", SIGSYS},     {"IOT", SIGABRT},      {"POLL", SIGIO},   {"CLD", SIGCHLD},
};

constexpr int kRtMin = 34;  // glibc keeps 32 and 33 for itself
constexpr int kRtMax = 64;

std::optional<int> real_time(std::string_view name) {
  bool from_min = name.starts_with("RTMIN");
  if (!from_min && !name.starts_with("RTMAX")) return std::nullopt;
  int base = from_min ? kRtMin : kRtMax;
  std::string_view rest = name.substr(5);
  if (rest.empty()) return base;
  if (rest.front() != (from_min ? '+' : '-')) return std::nullopt;
  rest.remove_prefix(1);
  int distance = 0;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), distance);
  if (error != std::errc() || end != rest.data() + rest.size() || distance > kRtMax - kRtMin ||
      distance < 0) {
    return std::nullopt;
  }
  return from_min ? base + distance : base - distance;
}

}  // namespace

std::optional<int> signal_number(std::string_view name) {
  std::string upper;
  for (char c : name)
    upper.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  std::string_view wanted = upper;
  if (wanted.starts_with("SIG")) wanted.remove_prefix(3);
  for (const Named& known : kNames) {
    if (known.name == wanted) return known.number;
  }
  return real_time(wanted);
}

std::optional<int> signal_number(const Json& value) {
  if (value.is_string()) return signal_number(std::string_view(value.get_ref<const std::string&>()));
  if (!value.is_number_integer()) return std::nullopt;
  if (value.is_number_unsigned() && value.get<uint64_t>() > kRtMax) return std::nullopt;
  auto number = value.get<int64_t>();
  if (number < 1 || number > kRtMax) return std::nullopt;
  return static_cast<int>(number);
}

std::string signal_name(int number) {
  for (const Named& known : kNames) {
    if (known.number == number) return std::string(known.name);
  }
  if (number == kRtMin) return "RTMIN";
  if (number > kRtMin && number <= kRtMax) return "RTMIN+" + std::to_string(number - kRtMin);
  return std::to_string(number);
}

}  // namespace bgtask::wire
