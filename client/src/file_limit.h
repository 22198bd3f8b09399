// What to do where a process has no descriptor left.
#pragma once

#include "protocol/wire/result.h"

namespace bgtask {

/// The same failure; one for want of descriptors gets the limit and the remedy added to its message.
Failure with_limit_remedy(Failure failure);

}  // namespace bgtask
