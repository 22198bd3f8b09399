#include "cli/action_report.h"

#include "cli/console.h"
#include "cli/output_format.h"

namespace bgtask::cli {

void ActionReport::declare(Command& command) {
  command.choice("-o,--output", {"json", "jsonl"},
                 "what was done, as JSON on stdout instead of words on stderr", &format_);
}

void ActionReport::add(const Json& result, const std::string& words) {
  if (format_ == "json") {
    results_.push_back(result);
  } else if (format_ == "jsonl") {
    write_stdout(json_line(result) + "\n");
  } else {
    say(words);
  }
}

void ActionReport::finish() {
  if (format_ == "json") write_stdout(json_text(results_) + "\n");
}

std::string count_of(std::uint64_t amount, const std::string& one, const std::string& many) {
  return std::to_string(amount) + " " + (amount == 1 ? one : many);
}

}  // namespace bgtask::cli
