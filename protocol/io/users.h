// Whether a uid identifies one user.
#pragma once

#include <sys/types.h>

namespace bgtask::io {

/// Whether `uid` may stand for several users: in a user namespace without a full map, all unmapped users,
/// perhaps the caller too, have the overflow uid.
bool is_unknown_user(uid_t uid);

}  // namespace bgtask::io
