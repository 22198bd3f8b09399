// Incremental reading over all output streams by one cursor: the same code answers `output` in the
// supervisor and reads the mapped files in a client.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/ring/format.h"
#include "protocol/ring/loss_account.h"
#include "protocol/ring/output_cursor.h"
#include "protocol/ring/ring_view.h"

namespace bgtask::ring {

struct OutputChunk {
  uint64_t seq = 0;      ///< seq + 1 is the cursor after this chunk
  uint64_t time_ns = 0;  ///< 0: not known
  StreamId stream = StreamId::kStdout;
  uint64_t offset = 0;  ///< of the first byte given (of the message, for data)
  std::string data;
};

/// How far a reader has come; the slots are those of stdout, stderr and data.
struct OutputPlace {
  Totals totals{};  ///< everything below has been given, counted, or not been asked for
  std::array<LossAccount, 3> accounts;
};

/// Where the last batch ended, for a reader that goes on from its cursor: then it is told exactly what it
/// missed, also when the index has lost the records around it.
struct LastOutput {
  uint64_t cursor = 0;
  std::optional<OutputPlace> place = {};

  /// The place of a cursor that may be another.
  std::optional<OutputPlace> at(uint64_t where) const {
    return where == cursor && where > 1 ? place : std::nullopt;
  }
};

struct OutputBatch {
  std::vector<OutputChunk> chunks;
  uint64_t next = 0;       ///< the cursor to go on with
  uint64_t lost[3] = {};   ///< stdout bytes, stderr bytes, data messages that nobody can have any more
  uint64_t taken[3] = {};  ///< the same of what a consuming read has taken before
  bool eof = false;        ///< nothing more will come on the chosen streams and `next` is at the end
  bool ahead = false;      ///< `next` is at the end, and the rings hold more that has no record (yet)
  std::optional<OutputPlace> place = {};  ///< at `next`, where that is known

  /// Whether there is anything to tell.
  bool empty() const;
};

/// What becomes of records of one stream that follow each other: a chunk each, or one for all of them, which
/// has the seq of the last and the time of the first. Reading back much is cheaper with fewer and longer
/// copies.
enum class Pieces { kApart, kJoined };

/// What becomes of output behind the last record. A living supervisor is about to record it; a dead one has
/// left it without.
enum class Tail { kAwaited, kGiven };

/// Bits for `streams`: 1 << StreamId.
inline constexpr uint32_t kAllOutput = 1u << 1 | 1u << 2 | 1u << 3;

/// One call looks at no more records and gives no more chunks than this; `next` says how far it came.
inline constexpr size_t kMaxRecordsRead = 64 * 1024;
inline constexpr size_t kMaxChunks = 512;

/// Views of the four rings of one task; the views must outlive it.
///
/// Everything of the chosen streams between the cursor and `next` is in `chunks`, or counted in `lost` or
/// `taken`. Where there is no record (any more) for what the rings hold, it is given all the same: before the
/// next record, one stream after the other, bytes without a time.
///
/// This is exact for the cursor "beginning", for cursors that lie before output without records
/// (is_unrecorded()), for every cursor that comes with the place of the batch that ended there, and else if
/// the record before the cursor or the one at it is still in the index. Where none of these is the case
/// reading goes on at the oldest record, and what lay before it is seen only as the gap between the cursor
/// and the first `seq`.
class OutputReader {
 public:
  OutputReader(const RingView& index, const RingView& out, const RingView& err, const RingView& data)
      : index_(index), rings_{&out, &err, &data} {}

  /// Whole records from `cursor` (0 or 1: the beginning) on, restricted to `streams`, until `max_bytes` are
  /// reached (soft: one record is given even if it is longer). A piece of which only the tail is left is
  /// given from there. Pieces of streams not asked for are neither given nor counted. `before`: the place
  /// that came with this cursor, if it came from another batch. Joined pieces are not longer than a batch,
  /// nor than one look at a ring gives (kMaxRead).
  OutputBatch read(uint64_t cursor, uint32_t streams, uint64_t max_bytes,
                   const std::optional<OutputPlace>& before = {}, Pieces pieces = Pieces::kApart,
                   Tail tail = Tail::kAwaited) const;
  /// The cursor after the newest record.
  uint64_t end() const;
  /// Whether nothing more will be written to any of these streams; what was may still be there to read.
  bool at_eof(uint32_t streams) const;

 private:
  const RingView& index_;
  std::array<const RingView*, 3> rings_;
};

}  // namespace bgtask::ring
