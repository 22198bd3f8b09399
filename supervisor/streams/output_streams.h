// Output: from the child's pipes and data channel into the rings.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "protocol/io/unique_fd.h"
#include "protocol/io/uv_handles.h"
#include "protocol/ring/byte_ring.h"
#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"
#include "protocol/ring/output_reader.h"
#include "protocol/ring/ring_view.h"
#include "protocol/wire/json.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

using ring::StreamId;

inline constexpr StreamId kOutputStreams[] = {StreamId::kStdout, StreamId::kStderr, StreamId::kData};

/// The four rings of a task. Kept apart from the descriptors: rings live as long as the task, descriptors as
/// long as a run of the command (or longer, where a descendant holds one).
struct Rings {
  ring::ByteRing out;
  ring::ByteRing err;
  ring::MessageRing data;
  ring::IndexRing index;
  bool blocking;  ///< overflow "block"

  /// New rings in `directory`, or in anonymous memory.
  static Result<std::unique_ptr<Rings>> create(int directory, const wire::LaunchSpec& spec);
  /// A dead supervisor's rings; where they were in memory, empty ones that go on at the published offsets.
  static Result<std::unique_ptr<Rings>> take_over(int directory, const wire::LaunchSpec& spec,
                                                  const Json& published);

  ring::Positions positions(StreamId stream) const;
  uint64_t capacity(StreamId stream) const;
  void consume(StreamId stream, uint64_t end);
  void discard(StreamId stream, uint64_t end);
  void set_eof(StreamId stream, bool eof);
  void set_error(StreamId stream, int error);
};

/// Reads what the task prints, as it comes, and tells when something came or ended.
class OutputStreams {
 public:
  struct Listener {
    std::function<void()> output;              ///< something was taken in
    std::function<void(StreamId)> stream_end;  ///< eof or error
  };

  OutputStreams(io::Loop& loop, std::unique_ptr<Rings> rings, Listener listener);

  /// Begins to read a descriptor of the stream; several of one stream may be open after a restart.
  Status attach(StreamId stream, io::UniqueFd fd);
  /// No descriptor is open for the stream any more (after adoption, before any was attached): its end.
  void end_if_unattached(StreamId stream);
  /// Takes in everything that is in the pipes at this moment, however much others go on writing.
  void drain();
  /// After a consumer made room: goes on reading what overflow "block" had stopped.
  void room_made(StreamId stream);

  Rings& rings() { return *rings_; }
  const Rings& rings() const { return *rings_; }
  const ring::RingView& view(StreamId stream) const;
  ring::OutputReader reader() const { return ring::OutputReader(index_, out_, err_, data_); }
  bool all_eof() const;
  /// Whether something waits in a pipe for room.
  bool blocked() const;
  /// Inode of the pipe that was attached last; 0 if none is open. An adopter finds the pipe again by it.
  uint64_t pipe_inode(StreamId stream) const;

 private:
  struct Source {
    StreamId stream;
    io::UniqueFd fd;
    io::Poll poll;
    bool grown = false;
    bool finished = false;
    bool blocked = false;         // overflow "block" and no room
    bool short_of_space = false;  // because the file system is full
    int failures = 0;             // of reads, since one succeeded
    int pipe_size = 0;            // once grown
    // Small pieces that come fast are left to gather (see gather()).
    io::Timer gathering;
    uint64_t this_ms = 0;  // of these: how often in a row this source alone woke us, and how much it had
    uint32_t wakes = 0;
    uint64_t bytes = 0;
    uint64_t not_before_ms = 0;  // it came too fast to be left
  };
  enum class Taken { kSome, kNothing, kBlocked, kEnded };

  void on_readable(Source& source);
  uint64_t take_turn(Source& source);
  bool worth_gathering(Source& source, uint64_t taken, bool gathered);
  void gather(Source& source);
  Taken take(Source& source);
  Taken take_bytes(Source& source, ring::ByteRing& ring);
  Taken take_message(Source& source);
  bool room_for_next_message(const Source& source) const;
  void grow_pipe(Source& source);
  Taken try_again_later(Source& source, int error);
  void wait_for_room(Source& source, int error);
  void start_retry();
  void finish(Source& source, int error);
  void drain(Source& source);
  void sweep();

  io::Loop& loop_;
  std::unique_ptr<Rings> rings_;
  Listener listener_;
  ring::RingView out_;
  ring::RingView err_;
  ring::RingView data_;
  ring::RingView index_;
  std::list<Source> sources_;  // stable addresses: polls call back into them
  io::Timer retry_;            // runs only while a full file system holds a blocking stream up
  std::vector<std::byte> message_;
  uint64_t taken_ = 0;  // bytes and messages, ever
  const Source* last_awake_ = nullptr;
  int depth_ = 0;  // of calls that walk sources_
};

}  // namespace bgtask::supervisor
