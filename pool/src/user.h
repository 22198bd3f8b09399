// Users and groups by name or number.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// A user to run as, and the variables that follow it: HOME, USER, LOGNAME and SHELL.
struct ChosenUser {
  wire::UserSpec spec;
  std::map<std::string, std::string> environment;
};

/// What `text` names: USER or USER:GROUP, each a name or a number. A user comes with its groups as the
/// system's databases have them, with a GROUP only with that. A number needs no entry there: its group is
/// then the one of the same number, its home "/". Nothing where there is nothing to change: for an empty
/// text, and for the caller itself where it is not root. bad_argument with ENOENT for an unknown name, denied
/// for another user or group where the caller is not root.
Result<std::optional<ChosenUser>> resolve_user(const std::string& text);

/// The group `name` (a name or a number); nothing for an empty name. bad_argument with ENOENT for an unknown
/// one.
Result<std::optional<wire::GroupSpec>> resolve_group(const std::string& name);

}  // namespace bgtask
