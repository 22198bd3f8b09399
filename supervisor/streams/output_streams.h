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
#include "protocol/ring/output_reader.h"
#include "protocol/ring/ring_view.h"
#include "protocol/wire/result.h"
#include "supervisor/streams/gathering.h"
#include "supervisor/streams/rings.h"

namespace bgtask::supervisor {

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
  /// After adoption: a stream whose descriptor could not be had again is at its end. If it was not so before,
  /// what went with its pipe cannot be counted: a gap.
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
    uint64_t pipe_size = 0;       // once grown
    Gathering gathering;
    io::Timer gather_timer;  // runs while small pieces gather in the pipe
  };
  enum class Taken { kSome, kNothing, kBlocked, kEnded };

  void on_readable(Source& source);
  uint64_t take_turn(Source& source);
  void take_gathered(const Source& awake);
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
