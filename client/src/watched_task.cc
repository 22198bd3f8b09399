#include "client/src/watched_task.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "client/src/file_limit.h"
#include "client/src/replies.h"
#include "client/src/supervisor_socket.h"
#include "client/src/throwing.h"
#include "protocol/io/pidfd.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/messages.h"

namespace bgtask {
namespace {

using std::chrono::milliseconds;
using Kind = WatchEvent::Kind;

/// Beside the event itself, its envelope.
constexpr std::size_t kMaxFrame = wire::kMaxReply + 4096;
constexpr std::uint64_t kLargestOffset = std::numeric_limits<std::int64_t>::max();
constexpr milliseconds kLongestPause{1000};
/// A supervisor that closes a connection because it ends has ended after this time, also on a busy machine.
constexpr milliseconds kDying{2000};
constexpr milliseconds kLookAgain{20};
/// For an answer of which the first bytes are there.
constexpr milliseconds kMorePatience{1000};

std::string name_of(const TaskPlace& place) {
  return "task " + std::to_string(place.id);
}

WatchEvent make_event(Kind kind) {
  WatchEvent event;
  event.kind = kind;
  return event;
}

WatchEvent make_event(Kind kind, Failure failure) {
  WatchEvent event = make_event(kind);
  event.error = to_error(std::move(failure));
  return event;
}

bool follows(const OutputChunk& before, const OutputChunk& chunk) {
  return before.stream == chunk.stream && chunk.stream != "data" &&
         before.offset + before.data.size() == chunk.offset;
}

/// Makes one chunk of pieces that follow each other: with the seq of the last and the time of the first.
void join(std::vector<OutputChunk>& chunks) {
  std::vector<OutputChunk> joined;
  for (OutputChunk& chunk : chunks) {
    if (joined.empty() || !follows(joined.back(), chunk)) {
      joined.push_back(std::move(chunk));
    } else {
      joined.back().data += chunk.data;
      joined.back().seq = chunk.seq;
    }
  }
  chunks = std::move(joined);
}

}  // namespace

Status WatchedTask::start(std::shared_ptr<const PoolDirectory> pool, const TaskDirectory& directory,
                          Time now) {
  place_ = {std::move(pool), directory.id, directory.identity};
  patience_until_ = now + std::chrono::duration_cast<milliseconds>(settings_.patience);
  return connect(directory, now);
}

void WatchedTask::start_without(Failure failure) {
  end(failure.code == ErrorCode::kNotFound ? Kind::kRemoved : Kind::kFailed, std::move(failure));
}

WatchedTask::Time WatchedTask::due() const {
  const bool connecting = phase_ == Phase::kConnecting || phase_ == Phase::kConnected;
  const bool awaited = connecting && !answered_ && !told_unresponsive_;
  return std::min(retry_at_, awaited ? patience_until_ : kNever);
}

// Fails only for want of descriptors or memory; everything else becomes an event or another attempt.
Status WatchedTask::connect(const TaskDirectory& directory, Time now) {
  Result<SupervisorSocket> socket = connect_to_supervisor(directory);
  if (socket) {
    socket_ = std::move(socket->fd);
    supervisor_ = socket->supervisor;
    ++serial_;
    phase_ = Phase::kConnected;
    retry_at_ = kNever;
    subscribe();
    return {};
  }
  if (is_own_shortage(socket.error().code)) return fail(std::move(socket).error());
  if (!may_connect_later(socket.error())) {
    end(Kind::kFailed, std::move(socket).error());
    return {};
  }
  Result<Whereabouts> found = find_whereabouts(place_);
  if (!found && is_own_shortage(found.error().code)) return fail(std::move(found).error());
  if (!found) {
    end(Kind::kFailed, std::move(found).error());
    return {};
  }
  const Fate fate = fate_of({.directory = found->state, .lock = found->lock});
  if (fate == Fate::kUnclear) {
    retry_later(now);
  } else {
    settle(fate, std::move(*found));
  }
  return {};
}

void WatchedTask::connect_again(Time now) {
  Result<Whereabouts> found = find_whereabouts(place_);
  if (found && found->state != FateFacts::Directory::kThere) {
    return settle(fate_of({.directory = found->state, .lock = found->lock}), std::move(*found));
  }
  Status connected = found ? connect(*found->directory, now) : fail(std::move(found).error());
  if (!connected) end(Kind::kFailed, with_limit_remedy(std::move(connected).error()));
}

void WatchedTask::retry_later(Time now) {
  phase_ = Phase::kConnecting;
  pause_ = std::clamp(pause_ * 2, milliseconds(1), kLongestPause);
  retry_at_ = now + pause_;
}

void WatchedTask::subscribe() {
  session_ = std::make_unique<ClientSession>(kMaxFrame);
  at_end_ = false;
  const WatchOptions& wanted = settings_.options;
  wire::SubscribeRequest request{.events = {.output = wanted.output.has_value(),
                                            .exit = wanted.exit,
                                            .meta = wanted.meta,
                                            .stream = wanted.streams}};
  answered_ = request.events == wire::EventKinds{};
  if (answered_) return;  // only how it ends is of interest, and the connection tells that
  if (wanted.output) {
    request.streams = {settings_.streams};
    if (wanted.output->cursor != kFromNow) request.cursor = std::min(wanted.output->cursor, kLargestOffset);
  }
  Json params = wire::encode(request);
  session_->request(wire::method_name(wire::SubscribeRequest::kMethod), params);
  send_unsent(socket_.get(), *session_);
}

void WatchedTask::disconnect() {
  session_.reset();
  socket_.reset();
  process_.reset();
  ++serial_;
  retry_at_ = kNever;
}

void WatchedTask::on_ready(std::span<char> buffer, Time now) {
  if (process_) {
    process_.reset();
    ++serial_;
    supervisor_gone_ = true;
    look(now);
  } else if (phase_ == Phase::kConnected) {
    if (wants_to_write()) send_unsent(socket_.get(), *session_);
    receive(buffer);
  }
}

bool WatchedTask::receive(std::span<char> buffer) {
  if (at_end_ || has_messages_) return true;  // there is something to take first
  const ssize_t received = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (received > 0) {
    session_->received({buffer.data(), static_cast<std::size_t>(received)});
    has_messages_ = true;
  } else if (received == 0 || (errno != EAGAIN && errno != EINTR)) {
    at_end_ = true;
  }
  return at_end_ || has_messages_;
}

void WatchedTask::on_time(std::span<char> buffer, Time now) {
  if (retry_at_ <= now) {
    retry_at_ = kNever;
    phase_ == Phase::kClosed ? look(now) : connect_again(now);
  }
  if (now < due()) return;
  // The answer may lie in the socket, since nobody has looked for so long.
  if (phase_ == Phase::kConnected && receive(buffer)) {
    patience_until_ = now + kMorePatience;
    return;
  }
  told_unresponsive_ = true;
  ready_ = std::make_unique<WatchEvent>(make_event(
      Kind::kUnresponsive,
      {ErrorCode::kUnresponsive, "the supervisor of " + name_of(place_) + " is alive but does not answer"}));
}

std::optional<WatchEvent> WatchedTask::next_event(Time now) {
  for (;;) {
    if (ready_) {
      WatchEvent event = std::move(*ready_);
      ready_.reset();
      return event;
    }
    if (phase_ == Phase::kDraining) {
      if (std::optional<WatchEvent> event = drained()) return event;
    } else if (phase_ == Phase::kConnected) {
      std::optional<SessionMessage> message = session_->next();
      if (!message) {
        has_messages_ = false;
        if (!at_end_) return std::nullopt;
        closed(now);
      } else if (std::optional<WatchEvent> event = take(std::move(*message), now)) {
        return event;
      }
    } else {
      return std::nullopt;
    }
  }
}

std::optional<WatchEvent> WatchedTask::take(SessionMessage message, Time now) {
  if (auto* event = std::get_if<SessionEvent>(&message)) return take_event(std::move(event->params));
  if (auto* reply = std::get_if<SessionReply>(&message)) {
    if (!reply->result) {
      end(Kind::kFailed, std::move(reply->result).error());
    } else {
      subscribed(wire::decode<wire::SubscribeReply>(std::move(*reply->result)).next);
    }
  } else if (auto* broken = std::get_if<SessionBroken>(&message)) {
    end(Kind::kFailed, std::move(broken->failure));
  } else if (Failure& refusal = std::get<SessionRefusal>(message).failure; refusal.code == ErrorCode::kBusy) {
    disconnect();
    retry_later(now);
  } else {
    end(Kind::kFailed, std::move(refusal));
  }
  return std::nullopt;
}

void WatchedTask::subscribed(std::uint64_t next) {
  answered_ = true;
  pause_ = milliseconds(0);
  std::optional<OutputOptions>& output = settings_.options.output;
  if (output && output->cursor == kFromNow) output->cursor = next;
  // Nothing tells whether it changed while there was no connection.
  if (std::exchange(was_subscribed_, true) && settings_.options.meta) tell_meta();
}

void WatchedTask::tell_meta() {
  const Result<TaskDirectory> directory = open_task(*place_.pool, place_.id);
  if (!directory || directory->identity != place_.identity) return;
  Result<Json> snapshot = read_snapshot(*directory, false);
  if (!snapshot) return;
  ready_ = std::make_unique<WatchEvent>(make_event(Kind::kMeta));
  ready_->meta = std::move((*snapshot)["meta"]);
}

std::optional<WatchEvent> WatchedTask::take_event(Json params) {
  const std::string kind(wire::event_kind(params));
  std::optional<OutputOptions>& output = settings_.options.output;
  if (kind == wire::OutputEvent::kKind && output) {
    WatchEvent event = make_event(Kind::kOutput);
    event.output = to_output(wire::decode<wire::OutputEvent>(std::move(params)));
    if (output->joined) join(event.output.chunks);
    output->cursor = event.output.next;
    output->offsets.reset();
    return event;
  }
  if (kind == wire::ExitEvent::kKind && settings_.options.exit) {
    auto exit = wire::decode<wire::ExitEvent>(std::move(params));
    if (exit.runs != 0 && exit.runs <= told_runs_) return std::nullopt;
    told_runs_ = exit.runs;
    WatchEvent event = make_event(Kind::kExit);
    event.runs = exit.runs;
    event.status = std::move(exit.status);
    return event;
  }
  if (kind == wire::MetaEvent::kKind && settings_.options.meta) {
    WatchEvent event = make_event(Kind::kMeta);
    event.meta = wire::decode<wire::MetaEvent>(std::move(params)).meta;
    show_text(event.meta);
    return event;
  }
  if (kind == wire::StreamEvent::kKind && settings_.options.streams) {
    auto stream = wire::decode<wire::StreamEvent>(std::move(params));
    WatchEvent event = make_event(Kind::kStream);
    event.stream = std::string(wire::stream_name(stream.stream.number));
    event.stream_error = stream.error.value_or("");
    return event;
  }
  return std::nullopt;
}

void WatchedTask::closed(Time now) {
  disconnect();
  phase_ = Phase::kClosed;
  supervisor_gone_ = false;
  answered_ = told_unresponsive_ = false;
  look_until_ = now + kDying;
  patience_until_ = now + std::chrono::duration_cast<milliseconds>(settings_.patience);
  look(now);
}

void WatchedTask::look(Time now) {
  Result<Whereabouts> found = find_whereabouts(place_);
  if (!found && is_own_shortage(found.error().code) && now < patience_until_) {
    retry_at_ = now + kLookAgain;
    return;
  }
  if (!found) return end(Kind::kFailed, with_limit_remedy(std::move(found).error()));
  const Fate fate = fate_of({.directory = found->state,
                             .lock = found->lock,
                             .supervisor_gone = supervisor_gone_,
                             .time_is_up = now >= look_until_});
  if (fate == Fate::kSupervised) {
    disconnect();
    return retry_later(now);
  }
  fate == Fate::kUnclear ? look_later(now) : settle(fate, std::move(*found));
}

// At the end of the supervisor's process, which wakes us, or where that cannot be awaited, after a while.
void WatchedTask::look_later(Time now) {
  if (!process_ && !supervisor_gone_ && supervisor_ > 0) {
    process_.reset(::pidfd_open(supervisor_, 0));
    supervisor_gone_ = !process_ && errno == ESRCH;
    ++serial_;
  }
  retry_at_ = supervisor_gone_ ? now + kLookAgain : look_until_;
}

void WatchedTask::settle(Fate fate, Whereabouts found) {
  if (fate == Fate::kLost) {
    became_lost(std::move(found));
  } else {
    end(Kind::kRemoved, {ErrorCode::kNotFound, name_of(place_) + " was deleted"});
  }
}

void WatchedTask::became_lost(Whereabouts found) {
  end(Kind::kLost, supervisor_is_dead(place_.id));
  if (Result<Json> snapshot = read_snapshot(*found.directory, false)) {
    ready_->status = std::move((*snapshot)["status"]);
  }
  if (found.lock == FateFacts::Lock::kHeld) return set_adopter(*ready_, found);
  if (!settings_.options.output || settings_.options.output->cursor == kFromNow) return;
  Result<OutputRings> rings = open_output(*found.directory);
  if (rings) {
    phase_ = Phase::kDraining;
    drain_ = std::make_unique<Drain>(
        Drain{std::move(*found.directory), std::move(*rings), {}, std::move(*ready_)});
    ready_.reset();
  } else if (rings.error().code != ErrorCode::kNotFound) {  // not_found: they were in the supervisor's memory
    Failure failure = with_limit_remedy(std::move(rings).error());
    failure.message.insert(
        0, "the supervisor of " + name_of(place_) + " is dead, and its output cannot be read: ");
    ready_->error = to_error(std::move(failure));
  }
}

void WatchedTask::set_adopter(WatchEvent& lost, const Whereabouts& found) const {
  if (found.state != FateFacts::Directory::kRenamed) return;  // it has no new id yet
  lost.adopted_by = found.directory->id;
  lost.error = to_error({ErrorCode::kLost, "the supervisor of " + name_of(place_) +
                                               " died, and the task was adopted: it is now task " +
                                               std::to_string(found.directory->id)});
}

std::optional<WatchEvent> WatchedTask::drained() {
  OutputOptions& options = *settings_.options.output;
  const ring::Pieces pieces = options.joined ? ring::Pieces::kJoined : ring::Pieces::kApart;
  for (;;) {
    // An adopter goes on writing: what follows is to be had from it.
    const Result<bool> adopted = supervisor_alive(drain_->directory);
    if (adopted && *adopted) break;
    Output output = read_output(drain_->rings,
                                {.cursor = options.cursor,
                                 .offsets = std::exchange(options.offsets, std::nullopt),
                                 .mask = settings_.streams,
                                 .max_bytes = options.max_bytes,
                                 .pieces = pieces,
                                 .tail = ring::Tail::kGiven},
                                drain_->last)
                        .output;
    const bool moved = output.next != std::exchange(options.cursor, output.next);
    if (!output.empty()) {
      WatchEvent event = make_event(Kind::kOutput);
      event.output = std::move(output);
      return event;
    }
    if (!moved) break;
  }
  phase_ = Phase::kEnded;
  const std::unique_ptr<Drain> done = std::move(drain_);
  const Result<Whereabouts> found = find_whereabouts(place_);
  if (found && found->lock == FateFacts::Lock::kHeld) set_adopter(done->lost, *found);
  return std::move(done->lost);
}

void WatchedTask::end(WatchEvent::Kind kind, Failure failure) {
  disconnect();
  phase_ = Phase::kEnded;
  ready_ = std::make_unique<WatchEvent>(make_event(kind, std::move(failure)));
}

}  // namespace bgtask
