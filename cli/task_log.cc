#include "cli/task_log.h"

#include <algorithm>
#include <map>
#include <utility>

#include "cli/console.h"
#include "cli/escaping.h"
#include "cli/follow.h"
#include "cli/task_table.h"
#include "cli/text_width.h"

namespace bgtask::cli {
namespace {

// A look at the past: little enough to stay in the processor's cache on its way. What goes to a pipe is no
// more than the pipe holds, so that its reader has something while the next is fetched: a third less time.
std::uint64_t page_size() {
  return stdout_is_pipe() ? 64 * 1024 : 256 * 1024;
}

// Tells what there was when one began to look from what came later, so that a look at a task that writes
// without end ends.
class Past {
 public:
  Past(const Task& task, const std::vector<std::string>& streams) {
    for (const auto& name : streams)
      limits_[name] = task.stream(name).limit();
  }
  bool contains(const OutputChunk& chunk) const {
    const auto limit = limits_.find(chunk.stream);
    return limit == limits_.end() || chunk.offset < limit->second;
  }

 private:
  std::map<std::string, std::uint64_t> limits_;
};

// False as soon as `take` says so; the cursor is then after what it took last.
bool take_all(const Output& output, OutputOptions& options,
              const std::function<bool(const OutputChunk&)>& take) {
  for (const auto& chunk : output.chunks) {
    options.cursor = chunk.seq + 1;
    options.offsets.reset();
    if (!take(chunk)) return false;
  }
  options.cursor = output.next;
  options.offsets = output.offsets;
  return true;
}

}  // namespace

bool read_past(Task& task, OutputOptions& options, const std::function<bool(const OutputChunk&)>& take,
               const std::function<void(const Output&)>& miss) {
  const Past past(task, options.streams);
  OutputOptions page = options;
  page.max_bytes = page_size();
  while (true) {
    const Output output = task.output(page);
    miss(output);
    if (!take_all(output, options, take)) return false;
    const bool is_past = std::all_of(output.chunks.begin(), output.chunks.end(),
                                     [&](const OutputChunk& chunk) { return past.contains(chunk); });
    // Of an empty page there was only what was not asked for, and that may never end.
    if (output.next == page.cursor || output.empty() || !is_past) return true;
    page.cursor = output.next;
    page.offsets = output.offsets;
  }
}

std::vector<std::string> log_names(const std::vector<Task>& tasks) {
  std::vector<std::string> names;
  std::map<std::string, int> count;
  for (const Task& task : tasks) {
    std::string name;
    try {
      name = escaped(task_name(task.published({"meta"})));
    } catch (const Error&) {
      // Its pid will do.
    }
    ++count[name];
    names.push_back(std::move(name));
  }
  std::size_t width = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string pid = std::to_string(tasks[i].pid());
    if (names[i].empty()) {
      names[i] = pid;
    } else if (count[names[i]] > 1) {
      names[i] += "(" + pid + ")";
    }
    width = std::max(width, display_width(names[i]));
  }
  for (std::string& name : names)
    name.append(width - display_width(name), ' ');
  return names;
}

TaskLog::TaskLog(const Task& task, LogStyle style, std::vector<std::string> streams, const CursorMark& mark)
    : task_(task), style_(std::move(style)), printer_(style_) {
  options_.cursor = mark.cursor;
  options_.offsets = mark.offsets;
  options_.streams = std::move(streams);
  options_.joined = !style_.needs_pieces();
}

bool TaskLog::show_past() {
  return read_past(
      task_, options_, [this](const OutputChunk& chunk) { return printer_.take(chunk); },
      [this](const Output& output) {
        say_missing(output.lost, output.taken);
        gap_ = output.gap;
      });
}

bool TaskLog::take(const Output& output) {
  say_missing(output.lost, output.taken);
  return take_all(output, options_, [this](const OutputChunk& chunk) { return printer_.take(chunk); });
}

void TaskLog::look_for_gap() {
  try {
    gap_ = task_.output(options_).gap;
  } catch (const Error&) {
    // Deleted meanwhile.
  }
}

void TaskLog::finish() {
  printer_.finish();
  const auto shown = [this](const char* stream) {
    return std::find(options_.streams.begin(), options_.streams.end(), stream) != options_.streams.end();
  };
  say_gap({.out = gap_.out && shown("stdout"),
           .err = gap_.err && shown("stderr"),
           .data = gap_.data && shown("data")});
}

}  // namespace bgtask::cli
