#include "cli/task_table.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

#include "cli/conditions.h"
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

Cell state_cell(const Json& info) {
  const std::string state = text_at(info, "status.state");
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

std::vector<Column> columns(bool wide) {
  std::vector<Column> all = {{"PID", true}, {"NAME", false}, {"STATE", false},
                             {"AGE", true}, {"ENDED", true}, {"EXIT", true}};
  if (wide) {
    all.insert(
        all.end(),
        {{"CHILD", true}, {"USER", false}, {"OUT", true}, {"ERR", true}, {"DATA", true}, {"CWD", false}});
  }
  all.push_back({"COMMAND", false});
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

std::vector<Cell> task_row(const Json& info, bool wide, double now) {
  const std::string name = task_name(info);
  std::vector<Cell> cells = {
      {text_at(info, "pid")},         {name.empty() ? kAbsent : name}, state_cell(info),
      {ago(info, "started_at", now)}, {ago(info, "ended_at", now)},    exit_cell(info)};
  if (wide) {
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
