// Whether an info document matches a pattern: `bgtask::matches`, and what a search needs to know beforehand.
#pragma once

#include <bgtask/json.h>

namespace bgtask {

/// Whether matching `pattern` may look at stream positions, which a search then has to read from the ring
/// headers.
bool mentions_streams(const Json& pattern);

}  // namespace bgtask
