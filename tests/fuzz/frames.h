// What holds of every stream of frames, in either encoding.
#pragma once

#include <string_view>

#include "protocol/wire/codec.h"

namespace bgtask::fuzz {

/// Cuts `bytes` into messages, at once and in pieces of `piece` bytes, which are fed or received into the
/// room that a framer offers: both must give the same. What a message decodes to must survive being encoded,
/// and is then taken for a request, for parameters and for a launch.
void check_frames(wire::Encoding encoding, std::string_view bytes, size_t piece, size_t max_frame);

}  // namespace bgtask::fuzz
