// Whose a number is.
#pragma once

#include <sys/types.h>

namespace bgtask::io {

/// Whether `uid` may stand for any number of users: in a user namespace that does not know every user, those
/// whom it does not know all have the overflow number, and so may the caller itself.
bool is_unknown_user(uid_t uid);

}  // namespace bgtask::io
