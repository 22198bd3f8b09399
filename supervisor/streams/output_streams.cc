#include "supervisor/streams/output_streams.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace bgtask::supervisor {
namespace {

constexpr size_t kPipeSize = 64 * 1024;
constexpr int kGrownPipe = 1 << 20;   // as far as an ordinary user may go (/proc/sys/fs/pipe-max-size)
constexpr size_t kMaxTake = 1 << 20;  // one read
constexpr int kTakesATurn = 8;        // then the others have their turn
constexpr int kMessagesATurn = 64;
constexpr int kMaxMessagesInSocket = 4096;  // more than a socket's queue can hold; a bound for drain()
constexpr uint64_t kRetryMs = 1000;
constexpr int kMostFailures = 10;  // of one read after the other

}  // namespace

OutputStreams::OutputStreams(io::Loop& loop, std::unique_ptr<Rings> rings, Listener listener)
    : loop_(loop),
      rings_(std::move(rings)),
      listener_(std::move(listener)),
      out_(ring::RingView::over(rings_->out.storage())),
      err_(ring::RingView::over(rings_->err.storage())),
      data_(ring::RingView::over(rings_->data.storage())),
      index_(ring::RingView::over(rings_->index.storage())) {}

const ring::RingView& OutputStreams::view(StreamId stream) const {
  if (stream == StreamId::kData) return data_;
  return stream == StreamId::kStdout ? out_ : err_;
}

bool OutputStreams::all_eof() const {
  return std::all_of(std::begin(kOutputStreams), std::end(kOutputStreams),
                     [&](StreamId stream) { return rings_->positions(stream).eof; });
}

uint64_t OutputStreams::pipe_inode(StreamId stream) const {
  for (auto source = sources_.rbegin(); source != sources_.rend(); ++source) {
    struct stat st {};
    if (source->stream == stream && !source->finished && ::fstat(source->fd.get(), &st) == 0)
      return st.st_ino;
  }
  return 0;
}

Status OutputStreams::attach(StreamId stream, io::UniqueFd fd) {
  rings_->set_eof(stream, false);
  Source& source = sources_.emplace_back();
  source.stream = stream;
  source.fd = std::move(fd);
  return source.poll.start(loop_, source.fd.get(), UV_READABLE,
                           [this, &source](int) { on_readable(source); });
}

void OutputStreams::end_if_unattached(StreamId stream) {
  bool attached = std::any_of(sources_.begin(), sources_.end(),
                              [&](const Source& s) { return s.stream == stream && !s.finished; });
  if (attached) return;
  if (!rings_->positions(stream).eof) rings_->set_gap(stream);  // first: the next adopter looks at eof too
  rings_->set_eof(stream, true);
}

void OutputStreams::on_readable(Source& source) {
  ++depth_;
  take_gathered(source);
  const bool in_a_row = std::exchange(last_awake_, &source) == &source;
  const uint64_t taken = take_turn(source);
  if (taken > 0 && listener_.output) listener_.output();
  const bool small_pieces = source.stream != StreamId::kData && !source.finished && !source.blocked;
  if (small_pieces && source.gathering.after_wake_up(taken, in_a_row, uv_now(loop_.get()))) gather(source);
  --depth_;
  sweep();
}

// What other sources have gathered came before what is in `awake` now.
void OutputStreams::take_gathered(const Source& awake) {
  for (Source& other : sources_) {
    if (&other == &awake || !other.gather_timer.running()) continue;
    other.gather_timer.stop();
    other.poll.set_events(UV_READABLE);
    take_turn(other);
  }
}

uint64_t OutputStreams::take_turn(Source& source) {
  const bool bytes = source.stream != StreamId::kData;
  const uint64_t much = std::min<uint64_t>(kPipeSize, rings_->capacity(source.stream) / 4);
  const uint64_t at_first = taken_;
  for (int left = bytes ? kTakesATurn : kMessagesATurn; left > 0; --left) {
    const uint64_t before = taken_;
    if (take(source) != Taken::kSome) break;
    // A little was all there was. If more has come meanwhile, the loop brings us back.
    if (bytes && taken_ - before < much) break;
  }
  return taken_ - at_first;
}

void OutputStreams::gather(Source& source) {
  if (!source.grown) grow_pipe(source);
  source.poll.set_events(0);
  source.gather_timer.start(loop_, Gathering::kTimeMs, [this, &source] {
    ++depth_;
    last_awake_ = &source;
    const uint64_t taken = take_turn(source);
    if (taken > 0 && listener_.output) listener_.output();
    if (!source.finished && !source.blocked) {
      if (source.gathering.after_gathering(taken, source.pipe_size, uv_now(loop_.get()))) {
        gather(source);
      } else {
        source.poll.set_events(UV_READABLE);
      }
    }
    --depth_;
    sweep();
  });
}

OutputStreams::Taken OutputStreams::take(Source& source) {
  switch (source.stream) {
    case StreamId::kStdout:
      return take_bytes(source, rings_->out);
    case StreamId::kStderr:
      return take_bytes(source, rings_->err);
    case StreamId::kData:
      return take_message(source);
  }
  __builtin_unreachable();
}

OutputStreams::Taken OutputStreams::take_bytes(Source& source, ring::ByteRing& ring) {
  using Kind = ring::ByteRing::Intake::Kind;
  ring::ByteRing::Intake intake = ring.take_in(source.fd.get(), kMaxTake);
  switch (intake.kind) {
    case Kind::kBytes:
      source.blocked = false;
      if (source.short_of_space || source.failures > 0) rings_->set_error(source.stream, 0);
      source.short_of_space = false;
      source.failures = 0;
      rings_->index.append(source.stream, intake.offset, intake.offset, intake.length, wall_clock_ns());
      taken_ += intake.length;
      if (intake.length >= kPipeSize && !source.grown) grow_pipe(source);
      return Taken::kSome;
    case Kind::kNothing:
      return Taken::kNothing;
    case Kind::kFull:
      wait_for_room(source, 0);
      return Taken::kBlocked;
    case Kind::kNoSpace:
      wait_for_room(source, intake.error);
      return Taken::kBlocked;
    case Kind::kEof:
      finish(source, 0);
      return Taken::kEnded;
    case Kind::kFailed:
      if (++source.failures <= kMostFailures) return try_again_later(source, intake.error);
      finish(source, intake.error);
      return Taken::kEnded;
  }
  __builtin_unreachable();
}

// A read that fails for want of something may succeed when that is back; one that goes on failing ends the
// stream.
OutputStreams::Taken OutputStreams::try_again_later(Source& source, int error) {
  source.poll.set_events(0);
  rings_->set_error(source.stream, error);
  start_retry();
  return Taken::kNothing;
}

bool OutputStreams::room_for_next_message(const Source& source) const {
  ssize_t length = 0;
  do {
    length = ::recv(source.fd.get(), nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  } while (length < 0 && (errno == EINTR || errno == ECONNRESET));  // the latter once, see take_message
  return length < 0 || rings_->data.has_room(std::min(static_cast<size_t>(length), ring::kMaxMessage));
}

OutputStreams::Taken OutputStreams::take_message(Source& source) {
  if (rings_->blocking && !room_for_next_message(source)) {
    wait_for_room(source, 0);
    return Taken::kBlocked;
  }
  message_.resize(ring::kMaxMessage);
  iovec part{message_.data(), message_.size()};
  // Room for the credentials and for nothing else: descriptors a child passes are closed by the kernel.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t n = ::recvmsg(source.fd.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  // Once, before what is still queued: the child's end was closed with our own in flight to it (see
  // child_streams.cc).
  if (n < 0 && errno == ECONNRESET) return take_message(source);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Taken::kNothing;
  if (n < 0) {
    finish(source, errno);
    return Taken::kEnded;
  }
  // An empty message has its sender's credentials with it, the end has nothing.
  if (n == 0 && header.msg_controllen == 0) {
    finish(source, 0);
    return Taken::kEnded;
  }
  // A child that enlarged its own send buffer may send more than is kept: the rest is told as an error, not
  // hidden.
  if ((header.msg_flags & MSG_TRUNC) != 0) rings_->set_error(StreamId::kData, EMSGSIZE);
  uint64_t now = wall_clock_ns();
  ++taken_;
  auto appended =
      rings_->data.append(std::span<const std::byte>(message_.data(), static_cast<size_t>(n)), now);
  if (!appended.kept) {  // overflow "block" on a full file system: the message is out of its socket and
                         // cannot stay
    rings_->set_error(StreamId::kData, ENOSPC);
    return Taken::kSome;
  }
  rings_->index.append(StreamId::kData, appended.number, appended.position, static_cast<uint64_t>(n), now);
  return Taken::kSome;
}

void OutputStreams::grow_pipe(Source& source) {
  source.grown = true;
  // A user's quota of pipe memory may refuse it: the pipe then stays as it is.
  static_cast<void>(::fcntl(source.fd.get(), F_SETPIPE_SZ, kGrownPipe));
  source.pipe_size = static_cast<uint64_t>(std::max(::fcntl(source.fd.get(), F_GETPIPE_SZ), 0));
}

void OutputStreams::wait_for_room(Source& source, int error) {
  source.poll.set_events(0);
  source.blocked = true;
  if (error == 0) return;
  source.short_of_space = true;
  rings_->set_error(source.stream, error);
  start_retry();
}

void OutputStreams::start_retry() {
  retry_.start(loop_, kRetryMs, [this] {
    for (Source& waiting : sources_)
      waiting.poll.set_events(UV_READABLE);
  });
}

void OutputStreams::room_made(StreamId stream) {
  for (Source& source : sources_) {
    if (source.stream != stream || source.finished) continue;
    source.blocked = false;
    source.poll.set_events(UV_READABLE);
  }
}

bool OutputStreams::blocked() const {
  return std::any_of(sources_.begin(), sources_.end(),
                     [](const Source& s) { return s.blocked && !s.finished; });
}

void OutputStreams::finish(Source& source, int error) {
  source.finished = true;
  source.poll.stop();
  if (error != 0) rings_->set_error(source.stream, error);
  bool others = std::any_of(sources_.begin(), sources_.end(),
                            [&](const Source& s) { return s.stream == source.stream && !s.finished; });
  if (others) return;
  rings_->set_eof(source.stream, true);
  if (listener_.stream_end) listener_.stream_end(source.stream);
}

void OutputStreams::sweep() {
  if (depth_ > 0) return;  // a listener brought us here again: the list is still being walked
  sources_.remove_if([](const Source& source) { return source.finished; });
  if (std::none_of(sources_.begin(), sources_.end(),
                   [](const Source& s) { return s.stream == StreamId::kData; })) {
    std::vector<std::byte>().swap(message_);
  }
}

void OutputStreams::drain() {
  ++depth_;
  for (Source& source : sources_)
    drain(source);
  if (listener_.output) listener_.output();
  --depth_;
  sweep();
}

void OutputStreams::drain(Source& source) {
  if (source.finished) return;
  if (source.stream == StreamId::kData) {
    for (int i = 0; i < kMaxMessagesInSocket && take(source) == Taken::kSome; ++i) {
    }
    return;
  }
  int waiting = 0;
  if (::ioctl(source.fd.get(), FIONREAD, &waiting) != 0) return;
  uint64_t goal = rings_->positions(source.stream).limit + static_cast<uint64_t>(waiting);
  while (!source.finished && rings_->positions(source.stream).limit < goal && take(source) == Taken::kSome) {
  }
  // The end is already there when nobody else holds the pipe: one more look finds it.
  if (!source.finished) static_cast<void>(take(source));
}

}  // namespace bgtask::supervisor
