// Users and groups by name or number.
#pragma once

#include <optional>
#include <string>

#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// The user `name` (a name or a number) with its groups, as the system's databases have them; nothing where
/// there is nothing to change: for an empty name, and for the caller itself where it is not root.
/// bad_argument with ENOENT for an unknown one, denied for another one where the caller is not root.
Result<std::optional<wire::UserSpec>> resolve_user(const std::string& name);

/// The group `name` (a name or a number); nothing for an empty name. bad_argument with ENOENT for an unknown
/// one.
Result<std::optional<wire::GroupSpec>> resolve_group(const std::string& name);

}  // namespace bgtask
