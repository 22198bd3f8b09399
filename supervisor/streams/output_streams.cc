#include "supervisor/streams/output_streams.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
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

constexpr uint32_t kWakesToGather = 4;              // in a millisecond
constexpr uint64_t kMostToGather = kGrownPipe / 4;  // bytes in these wake-ups: more would fill the pipe
constexpr uint64_t kWorthGathering = 4096;          // bytes in these wake-ups, then in a millisecond
constexpr uint64_t kTooFastMs = 20;

uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

ring::Geometry geometry_of(const wire::LaunchSpec& spec) {
  return {std::max(spec.buffer, spec.retain), spec.retain,
          spec.overflow_block ? ring::Overflow::kBlock : ring::Overflow::kDrop};
}

Result<ring::Storage> new_storage(int directory, const wire::LaunchSpec& spec, const char* name,
                                  ring::Kind kind, uint64_t capacity) {
  if (spec.rings_in_memory) return ring::Storage::create_memory(kind, capacity);
  return ring::Storage::create_file(directory, name, kind, capacity);
}

using Storages = std::vector<ring::Storage>;

std::unique_ptr<Rings> assemble(Storages storages, ring::Geometry geometry) {
  return std::unique_ptr<Rings>(new Rings{
      ring::ByteRing(std::move(storages[0]), geometry), ring::ByteRing(std::move(storages[1]), geometry),
      ring::MessageRing(std::move(storages[2]), geometry), ring::IndexRing(std::move(storages[3])),
      geometry.overflow == ring::Overflow::kBlock});
}

struct Wanted {
  const char* name;
  ring::Kind kind;
  uint64_t capacity;
};

std::vector<Wanted> wanted_rings(const ring::Geometry& geometry) {
  uint64_t messages = ring::MessageRing::capacity_for(geometry.capacity);
  return {{"stdout", ring::Kind::kBytes, geometry.capacity},
          {"stderr", ring::Kind::kBytes, geometry.capacity},
          {"data", ring::Kind::kMessages, messages},
          {"index", ring::Kind::kIndex, ring::IndexRing::capacity_for(2 * geometry.capacity + messages)}};
}

uint64_t published_limit(const Json& published, const char* stream) {
  try {
    return published.at("streams").at(stream).at("limit").get<uint64_t>();
  } catch (const Json::exception&) {
    return 0;
  }
}

}  // namespace

Result<std::unique_ptr<Rings>> Rings::create(int directory, const wire::LaunchSpec& spec) {
  ring::Geometry geometry = geometry_of(spec);
  Storages storages;
  for (const Wanted& wanted : wanted_rings(geometry)) {
    auto storage = new_storage(directory, spec, wanted.name, wanted.kind, wanted.capacity);
    if (!storage) return fail(std::move(storage).error());
    storages.push_back(std::move(*storage));
  }
  return assemble(std::move(storages), geometry);
}

Result<std::unique_ptr<Rings>> Rings::take_over(int directory, const wire::LaunchSpec& spec,
                                                const Json& published) {
  if (spec.rings_in_memory) {
    auto rings = create(directory, spec);
    if (!rings) return rings;
    (*rings)->out.begin_at(published_limit(published, "stdout"));
    (*rings)->err.begin_at(published_limit(published, "stderr"));
    (*rings)->data.begin_at(published_limit(published, "data"));
    (*rings)->index.reconcile((*rings)->out, (*rings)->err, (*rings)->data, now_ns());
    return rings;
  }
  ring::Geometry geometry = geometry_of(spec);
  Storages storages;
  for (const Wanted& wanted : wanted_rings(geometry)) {
    auto storage = ring::Storage::open_file(directory, wanted.name, wanted.kind);
    if (!storage) return fail(std::move(storage).error());
    storages.push_back(std::move(*storage));
  }
  auto rings = assemble(std::move(storages), geometry);
  rings->index.reconcile(rings->out, rings->err, rings->data, now_ns());
  return rings;
}

ring::Positions Rings::positions(StreamId stream) const {
  if (stream == StreamId::kData) return data.positions();
  return (stream == StreamId::kStdout ? out : err).positions();
}

uint64_t Rings::capacity(StreamId stream) const {
  if (stream == StreamId::kData) return data.capacity();
  return (stream == StreamId::kStdout ? out : err).capacity();
}

void Rings::consume(StreamId stream, uint64_t end) {
  if (stream == StreamId::kData) return data.consume(end);
  (stream == StreamId::kStdout ? out : err).consume(end);
}

void Rings::discard(StreamId stream, uint64_t end) {
  if (stream == StreamId::kData) return data.discard(end);
  (stream == StreamId::kStdout ? out : err).discard(end);
}

void Rings::set_eof(StreamId stream, bool eof) {
  if (stream == StreamId::kData) return data.set_eof(eof);
  (stream == StreamId::kStdout ? out : err).set_eof(eof);
}

void Rings::set_error(StreamId stream, int error) {
  if (stream == StreamId::kData) return data.set_error(error);
  (stream == StreamId::kStdout ? out : err).set_error(error);
}

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
  if (!attached) rings_->set_eof(stream, true);
}

void OutputStreams::on_readable(Source& source) {
  ++depth_;
  // What was left to gather came before this.
  for (Source& other : sources_) {
    if (&other == &source || !other.gathering.running()) continue;
    other.gathering.stop();
    other.poll.set_events(UV_READABLE);
    take_turn(other);
  }
  const uint64_t taken = take_turn(source);
  if (taken > 0 && listener_.output) listener_.output();
  if (!source.finished && worth_gathering(source, taken, false)) gather(source);
  --depth_;
  sweep();
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

// Many small pieces cost more in wake-ups, ours and those that the writer has to make, than in copying. Where
// they come that fast, from this source alone, a millisecond's worth is taken at once, if the pipe holds
// more.
bool OutputStreams::worth_gathering(Source& source, uint64_t taken, bool gathered) {
  if (source.stream == StreamId::kData || source.blocked) return false;
  const uint64_t now = uv_now(loop_.get());
  if (gathered) {
    if (taken > static_cast<uint64_t>(source.pipe_size) / 16 * 15) {
      source.not_before_ms = now + kTooFastMs;
      return false;
    }
    return taken >= kWorthGathering;
  }
  if (std::exchange(last_awake_, &source) != &source || source.this_ms != now) {
    source.this_ms = now;
    source.wakes = 0;
    source.bytes = 0;
  }
  source.bytes += taken;
  return ++source.wakes >= kWakesToGather && source.bytes >= kWorthGathering &&
         source.bytes < kMostToGather && now >= source.not_before_ms;
}

void OutputStreams::gather(Source& source) {
  if (!source.grown) grow_pipe(source);
  source.poll.set_events(0);
  source.gathering.start(loop_, 1, [this, &source] {
    ++depth_;
    last_awake_ = &source;
    const uint64_t taken = take_turn(source);
    if (taken > 0 && listener_.output) listener_.output();
    if (!source.finished && !source.blocked) {
      if (worth_gathering(source, taken, true)) {
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
      rings_->index.append(source.stream, intake.offset, intake.offset, intake.length, now_ns());
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
  // child.cc).
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
  uint64_t now = now_ns();
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
  source.pipe_size = std::max(::fcntl(source.fd.get(), F_GETPIPE_SZ), 0);
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
