// The messages that travel most, as they look in practice.
#pragma once

#include <string>

#include "protocol/wire/json.h"

namespace bgtask::micro {

/// The info document of a running task with a name and some metadata; `status` on disk is the same.
Json info_document();
/// The reply to `output`: `chunks` pieces of `bytes` each.
Json output_page(int chunks, int bytes);

}  // namespace bgtask::micro
