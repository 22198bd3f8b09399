// The task's metadata: what `apply_meta` makes of it.
#pragma once

#include "protocol/wire/json.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

/// `meta` with `patch` merged deeply into it; null removes a key. bad_argument if the whole becomes too
/// large.
Result<Json> merged_metadata(Json meta, const Json& patch);

}  // namespace bgtask::supervisor
