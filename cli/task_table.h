// Tasks as rows for people.
#pragma once

#include <bgtask/json.h>

#include <string>
#include <vector>

#include "cli/output_format.h"

namespace bgtask::cli {

/// A task's cells in the columns PID NAME STATE AGE ENDED EXIT COMMAND; `wide` adds CHILD USER OUT ERR DATA
/// (unread bytes, messages) and CWD before the command. What is missing in the info document is shown as "-".
/// `now` is the time ages are counted from.
std::vector<Cell> task_row(const Json& info, bool wide, double now);
/// Such rows below their titles.
std::string task_table(std::vector<std::vector<Cell>> rows, bool wide, const TableStyle& style);

/// A command as one would type it: words with anything unusual in them are quoted.
std::string command_line(const Json& command);
/// The task's meta.name as text; empty if it has none.
std::string task_name(const Json& info);

}  // namespace bgtask::cli
