// Incremental reading over all output streams by one cursor: the same code answers `output` in the
// supervisor and reads the mapped files in a client.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/ring/format.h"
#include "protocol/ring/ring_view.h"

namespace bgtask::ring {

struct OutputChunk {
  uint64_t seq = 0;
  uint64_t time_ns = 0;
  StreamId stream = StreamId::kStdout;
  uint64_t offset = 0;  ///< of the first byte given (of the message, for data)
  std::string data;
};

/// How much there ever was of stdout, stderr (bytes) and data (messages) before some cursor.
using Totals = std::array<uint64_t, 3>;

struct OutputBatch {
  std::vector<OutputChunk> chunks;
  uint64_t next = 0;      ///< the cursor to go on with
  uint64_t lost[3] = {};  ///< stdout bytes, stderr bytes, data messages that cannot be had any more
  bool eof = false;       ///< nothing more will come on the chosen streams and `next` is at the end
  std::optional<Totals> totals = {};  ///< before `next`, where that is known
};

/// What becomes of records of one stream that follow each other: a chunk each, or one for all of them, which
/// has the seq of the last and the time of the first. Reading back much is cheaper with fewer and longer
/// copies.
enum class Pieces { kApart, kJoined };

/// Bits for `streams`: 1 << StreamId.
inline constexpr uint32_t kAllOutput = 1u << 1 | 1u << 2 | 1u << 3;

/// One call looks at no more records and gives no more chunks than this; `next` says how far it came.
inline constexpr size_t kMaxRecordsRead = 64 * 1024;
inline constexpr size_t kMaxChunks = 512;

/// Views of the four rings of one task; the views must outlive it.
///
/// What `lost` counts: everything of the chosen streams between the cursor and `next` that is not in
/// `chunks`. It is exact when the record before the cursor or the one at it is still in the index, and for
/// the cursor "beginning". For a cursor whose records the index has overwritten it is exact where the caller
/// still has the totals of the batch that ended there; else it counts from the oldest record still there, and
/// what lay before that is seen only as the gap between the cursor and the first `seq`.
/// From the beginning with no record left at all, everything below each stream's start is lost.
class OutputReader {
 public:
  OutputReader(const RingView& index, const RingView& out, const RingView& err, const RingView& data)
      : index_(index), out_(out), err_(err), data_(data) {}

  /// Whole records from `cursor` (0 or 1: the beginning) on, restricted to `streams`, until `max_bytes` are
  /// reached (soft: one record is given even if it is longer). A piece of which only the tail is left is
  /// given from there, the rest counted in `lost`. Pieces of streams not asked for are neither given nor
  /// counted. `before`: the totals that came with this cursor, if it came from another batch. Joined pieces
  /// are not longer than a batch, nor than one look at a ring gives (kMaxRead).
  OutputBatch read(uint64_t cursor, uint32_t streams, uint64_t max_bytes,
                   const std::optional<Totals>& before = {}, Pieces pieces = Pieces::kApart) const;
  /// The cursor after the newest record.
  uint64_t end() const;
  /// Whether nothing more will be written to any of these streams; what was may still be there to read.
  bool at_eof(uint32_t streams) const;

 private:
  struct Reading;
  const RingView& ring_of(StreamId stream) const;
  bool take(Reading& reading, const IndexRecord& record) const;
  void add_message(Reading& reading, const IndexRecord& record) const;
  void add_run(Reading& reading) const;

  const RingView& index_;
  const RingView& out_;
  const RingView& err_;
  const RingView& data_;
};

}  // namespace bgtask::ring
