// How verbs that do something to several tasks report: words on stderr, or JSON on stdout.
#pragma once

#include <bgtask/json.h>

#include <string>
#include <vector>

#include "cli/command.h"

namespace bgtask::cli {

/// For verbs with a result a task. Without -o the words are said on stderr; with -o json all results are one
/// array (at finish()), with -o jsonl one object a line, at once.
class ActionReport {
 public:
  /// Adds -o to the command.
  void declare(Command& command);
  /// \throws ConsoleError
  void add(const Json& result, const std::string& words);
  void finish();
  bool as_json() const { return !format_.empty(); }

 private:
  std::string format_;
  Json results_ = Json::array();
};

/// "1 process", "3 processes".
std::string count_of(std::uint64_t amount, const std::string& one, const std::string& many);

}  // namespace bgtask::cli
