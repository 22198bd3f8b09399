// What a verb is, and the table of them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/session.h"

namespace bgtask::cli {

/// One use of a verb. declare() binds the options to members, execute() reads them.
class Verb {
 public:
  virtual ~Verb() = default;
  virtual void declare(Command& command) = 0;
  /// Returns the exit status. \throws UsageError, bgtask::Error, ConsoleError
  virtual int execute(Session& session, const std::vector<std::string>& positionals) = 0;
};

struct VerbEntry {
  std::string_view name;
  std::string_view aliases;  ///< blank between them
  std::string_view summary;  ///< one line for the list of verbs
  std::unique_ptr<Verb> (*make)();
};

/// All verbs, in the order in which they are listed.
std::span<const VerbEntry> verbs();
/// By name or alias; nullptr for none.
const VerbEntry* find_verb(std::string_view name);
/// The verb most like a mistyped one; empty if none is, or if that one ends or removes something.
std::string similar_verb(std::string_view name);

// Each is defined in verbs/, by its name or with its relatives.
VerbEntry run_verb();
VerbEntry ls_verb();
VerbEntry info_verb();
VerbEntry meta_verb();
VerbEntry logs_verb();
VerbEntry follow_verb();
VerbEntry read_verb();
VerbEntry send_verb();
VerbEntry kill_verb();
VerbEntry stop_verb();
VerbEntry pause_verb();
VerbEntry resume_verb();
VerbEntry restart_verb();
VerbEntry delete_verb();
VerbEntry clean_verb();
VerbEntry wait_verb();
VerbEntry adopt_verb();
VerbEntry gc_verb();
VerbEntry emit_verb();

}  // namespace bgtask::cli
