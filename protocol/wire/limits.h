// Limits on what a peer may send. Sizes in bytes. docs/protocol.md lists them for other implementers.
#pragma once

#include <cstddef>

namespace bgtask::wire {

inline constexpr size_t kMaxRequest = 64 * 1024;     ///< a request that is not a `write`
inline constexpr size_t kMaxId = 256;                ///< an id that is a string
inline constexpr size_t kMaxWriteData = 256 * 1024;  ///< decoded data of a `write`
/// A JSON string takes at most six bytes for one byte of data (\u00XX).
inline constexpr size_t kMaxWriteFrame = kMaxWriteData * 6 + 4096;
inline constexpr size_t kMaxReply = 1024 * 1024;
inline constexpr size_t kMaxDepth = 32;
inline constexpr size_t kMaxElements = 4096;
inline constexpr size_t kMaxMeta = 256 * 1024;  ///< encoded as JSON
inline constexpr size_t kMaxStdinQueue = 1024 * 1024;
inline constexpr size_t kMaxStatusFile = 16 * 1024 * 1024;
inline constexpr int kProtocolVersion = 1;

}  // namespace bgtask::wire
