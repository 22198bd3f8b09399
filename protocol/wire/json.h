// The document type of the whole project: what travels, what is published, what patterns match against.
//
// Bytes that are not text are held as nlohmann's binary values; json_codec.h and msgpack_codec.h say how
// each encoding carries them.
#pragma once

#include <nlohmann/json.hpp>

namespace bgtask {

using Json = nlohmann::json;

}  // namespace bgtask
