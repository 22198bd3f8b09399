#include "cli/task_table.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <map>
#include <utility>

#include "cli/conditions.h"
#include "cli/output_format.h"
#include "cli/sizes_and_times.h"
#include "pool/src/accounts.h"

namespace bgtask::cli {
namespace {

constexpr const char* kAbsent = "-";

std::string text_at(const Json& info, std::string_view path) {
  const Json* value = find_value(info, path);
  return value == nullptr || value->is_null() ? kAbsent : plain_text(*value);
}

std::string ago(const Json& info, std::string_view path, double now) {
  const Json* value = find_value(info, path);
  return value == nullptr || !value->is_number() ? kAbsent : short_duration(now - value->get<double>());
}

Cell state_cell(const Json& info, const ProcessUsage& live) {
  const std::string state = text_at(info, "status.state");
  if (has_ended(info) && live.processes > 0)
    return {state + "+" + std::to_string(live.processes), Colour::kYellow};
  if (state == "running") return {state, Colour::kGreen};
  if (state == "paused") return {state, Colour::kYellow};
  if (state == "lost") return {state, Colour::kMagenta};
  return {state, Colour::kNone};
}

Cell exit_cell(const Json& info) {
  const std::string signal = text_at(info, "status.signal");
  if (signal != kAbsent) return {signal, Colour::kRed};
  const std::string code = text_at(info, "status.exit_code");
  if (code == kAbsent) {
    return {text_at(info, "status.state") == "exited" ? "?" : kAbsent, Colour::kNone};
  }
  return {code, code == "0" ? Colour::kNone : Colour::kRed};
}

std::string user_name(const Json& info) {
  const Json* uid = find_value(info, "uid");
  if (uid == nullptr || !uid->is_number_unsigned()) return kAbsent;
  static std::map<uid_t, std::string> known;
  auto [entry, fresh] = known.try_emplace(uid->get<uid_t>());
  if (fresh) {
    const auto user = account_numbered(entry->first).found;
    entry->second = user ? user->name : std::to_string(entry->first);
  }
  return entry->second;
}

std::string unread(const Json& info, const std::string& stream, bool bytes) {
  const Json* limit = find_value(info, "streams." + stream + ".limit");
  const Json* consumed = find_value(info, "streams." + stream + ".consumed");
  if (limit == nullptr || consumed == nullptr || !limit->is_number() || !consumed->is_number())
    return kAbsent;
  const auto end = limit->get<std::uint64_t>();
  const auto amount = end - std::min(end, consumed->get<std::uint64_t>());
  return bytes ? short_size(amount) : std::to_string(amount);
}

std::string quoted(const std::string& word) {
  static constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_^";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word)
    text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string cpu_text(double seconds) {
  constexpr double kRounded = 10;  // from here on tenths say nothing
  if (seconds >= kRounded) return short_duration(seconds);
  char text[16];
  std::snprintf(text, sizeof text, "%.1fs", seconds);
  return text;
}

constexpr std::size_t kLeastName = 12, kMostName = 24, kLeastCommand = 20, kLeastDirectory = 10,
                      kMostDirectory = 30;

std::vector<Column> columns(bool wide) {
  std::vector<Column> all = {{.title = "PID", .right = true},
                             {.title = "NAME", .least = kLeastName, .most = kMostName},
                             {.title = "STATE"},
                             {.title = "AGE", .right = true, .dropped = 11},
                             {.title = "ENDED", .right = true, .dropped = 10},
                             {.title = "EXIT", .right = true, .dropped = 12}};
  if (wide) {
    const Column more[] = {{.title = "RUN", .right = true, .dropped = 6},
                           {.title = "CPU", .right = true, .dropped = 9},
                           {.title = "MEM", .right = true, .dropped = 8},
                           {.title = "CHILD", .right = true, .dropped = 1},
                           {.title = "USER", .dropped = 7},
                           {.title = "OUT", .right = true, .dropped = 5},
                           {.title = "ERR", .right = true, .dropped = 4},
                           {.title = "DATA", .right = true, .dropped = 3},
                           {.title = "CWD", .least = kLeastDirectory, .most = kMostDirectory, .dropped = 2}};
    all.insert(all.end(), std::begin(more), std::end(more));
  }
  all.push_back({.title = "COMMAND", .least = kLeastCommand});
  return all;
}

}  // namespace

std::string task_name(const Json& info) {
  const Json* meta = find_value(info, "meta");
  const Json* name = meta == nullptr ? nullptr : find_value(*meta, "name");
  return name == nullptr || name->is_null() ? "" : plain_text(*name);
}

std::string command_line(const Json& command) {
  if (!command.is_array()) return plain_text(command);
  std::string text;
  for (const auto& word : command)
    text += (text.empty() ? "" : " ") + quoted(plain_text(word));
  return text;
}

bool has_ended(const Json& info) {
  const Json* running = find_value(info, "status.running");
  return running != nullptr && *running == false;
}

std::optional<double> run_time(const Json& info, double now) {
  const Json* start = find_value(info, "started_at");
  const Json* end = find_value(info, "ended_at");
  if (start == nullptr || !start->is_number()) return std::nullopt;
  return (end != nullptr && end->is_number() ? end->get<double>() : now) - start->get<double>();
}

double cpu_seconds(const Json& info, const ProcessUsage& live) {
  double seconds = live.cpu_seconds;
  for (const char* part : {"rusage.user_seconds", "rusage.system_seconds"}) {
    const Json* used = find_value(info, part);
    if (used != nullptr && used->is_number()) seconds += used->get<double>();
  }
  return seconds;
}

std::vector<Cell> task_row(const Json& info, const ProcessUsage& live, bool wide, double now) {
  const std::string name = task_name(info);
  std::vector<Cell> cells = {{text_at(info, "pid")},       {name.empty() ? kAbsent : name},
                             state_cell(info, live),       {ago(info, "started_at", now)},
                             {ago(info, "ended_at", now)}, exit_cell(info)};
  if (wide) {
    const auto ran = run_time(info, now);
    cells.push_back({ran ? short_duration(*ran) : kAbsent});
    cells.push_back({cpu_text(cpu_seconds(info, live))});
    cells.push_back({live.processes > 0 ? short_size(live.resident) : kAbsent});
    cells.push_back({text_at(info, "child_pid")});
    cells.push_back({user_name(info)});
    cells.push_back({unread(info, "stdout", true)});
    cells.push_back({unread(info, "stderr", true)});
    cells.push_back({unread(info, "data", false)});
    cells.push_back({text_at(info, "cwd")});
  }
  const Json* command = find_value(info, "command");
  cells.push_back({command == nullptr ? kAbsent : command_line(*command)});
  return cells;
}

std::string task_table(std::vector<std::vector<Cell>> rows, bool wide, const TableStyle& style) {
  return table(columns(wide), std::move(rows), style);
}

}  // namespace bgtask::cli
