// Tasks as rows for people.
#pragma once

#include <bgtask/json.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/table.h"
#include "pool/src/task_processes.h"

namespace bgtask::cli {

/// A task's cells in the columns PID NAME STATE AGE ENDED EXIT COMMAND; `wide` adds RUN CPU MEM CHILD USER
/// OUT ERR DATA (unread bytes, messages) and CWD before the command. What is missing in the info document is
/// shown as "-". `live` is what the task's live processes use: of an ended task they are counted in STATE
/// ("exited+2"). `now` is the time ages are counted from.
std::vector<Cell> task_row(const Json& info, const ProcessUsage& live, bool wide, double now);
/// Such rows below their titles.
std::string task_table(std::vector<std::vector<Cell>> rows, bool wide, const TableStyle& style);

/// Whether the task's command has ended, as far as is known.
bool has_ended(const Json& info);
/// Seconds from the start of the command to its end or to `now`; nothing where the document has no start.
std::optional<double> run_time(const Json& info, double now);
/// Processor time: of the ended command with all that it waited for, and of what runs.
double cpu_seconds(const Json& info, const ProcessUsage& live);

/// A command as one would type it: words with anything unusual in them are quoted.
std::string command_line(const Json& command);
/// The task's meta.name as text; empty if it has none.
std::string task_name(const Json& info);

}  // namespace bgtask::cli
