/// \file
/// The document type of the library.
#pragma once

#include <nlohmann/json.hpp>

namespace bgtask {

/// Patterns, metadata and info documents are JSON documents; the type is nlohmann's. Bytes that are not valid
/// UTF-8 appear as binary values (`is_binary()`).
///
/// Reading a key that may be absent: use `doc.value("key", fallback)` or `doc.at("key")` (throws); the const
/// `operator[]` of nlohmann::json must not be used with an absent key.
using Json = nlohmann::json;

}  // namespace bgtask
