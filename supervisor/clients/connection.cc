#include "supervisor/clients/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "protocol/wire/limits.h"

namespace bgtask::supervisor {
namespace {

constexpr size_t kReceiveStep = 64 * 1024;
constexpr size_t kMaxUnread = 1024 * 1024;           // of one client: its next request waits
constexpr size_t kMaxUnreadOfAll = 8 * 1024 * 1024;  // beyond it, kMaxUnreadOfMany is the limit
constexpr size_t kMaxUnreadOfMany = 64 * 1024;
constexpr int kRoundsATurn = 16;  // of sending, so that others have their turn
constexpr int kFramesATurn = 8;   // the same for requests
constexpr uint64_t kFrameTimeoutMs = 10'000;
constexpr uint64_t kUnreadTimeoutMs = 60'000;
constexpr uint64_t kCloseTimeoutMs = 10'000;

// All connections share one buffer: the supervisor has one thread, and no bytes stay in it across a turn. It
// is in the section for large data, the last one, so that small variables share pages.
[[gnu::section(".lbss")]] char receive_buffer[kReceiveStep];

}  // namespace

Connection::Connection(io::Loop& loop, io::UniqueFd fd, const Peer& peer, Unread& unread, Listener listener)
    : loop_(loop),
      fd_(std::move(fd)),
      peer_(peer),
      unread_(unread),
      listener_(std::move(listener)),
      framer_(wire::kMaxWriteFrame, wire::request_limits()) {}

Connection::~Connection() {
  drop_unsent();
}

Status Connection::start() {
  return poll_.start(loop_, fd_.get(), UV_READABLE, [this](int events) { on_ready(events); });
}

void Connection::on_ready(int events) {
  if ((events & UV_WRITABLE) != 0) flush();
  if (!closed() && !more_ && (events & (UV_READABLE | UV_PRIORITIZED)) != 0) receive();
}

void Connection::receive() {
  const ssize_t n = receive_some();
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return close();
  if (n == 0) {
    if (input_ended_) return close();  // a hang-up after the half-close
    input_ended_ = true;
    return after_sending();
  }
  if (closing_) return;
  most_held_ = std::max(most_held_, static_cast<size_t>(n));
  process_frames();
}

// Returns what recv(2) returns. The framer gets the bytes, except those that follow an error.
ssize_t Connection::receive_some() {
  const std::span<char> room = closing_ ? std::span<char>() : framer_.room();
  if (!room.empty()) {
    const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
    framer_.received(static_cast<size_t>(std::max<ssize_t>(n, 0)));
    return n;
  }
  const ssize_t n = ::recv(fd_.get(), receive_buffer, sizeof receive_buffer, MSG_DONTWAIT);
  if (n > 0 && !closing_) framer_.feed({receive_buffer, static_cast<size_t>(n)});
  return n;
}

void Connection::process_frames() {
  if (processing_ || flushing_) return;  // sending a reply may call this again
  processing_ = true;
  more_ = false;
  for (int frames = 0; !closed() && !closing_; ++frames) {
    if ((more_ = frames == kFramesATurn || held_up())) break;
    auto frame = framer_.next();
    if (!frame) break;
    writes_ = {.before = writes_.now, .now = false};
    if (*frame) {
      take_frame(std::move(**frame), framer_.last_frame_size());
    } else if (framer_.broken()) {
      refuse(frame->error());
    } else {
      send(wire::make_error(nullptr, frame->error()));
    }
  }
  processing_ = false;
  if (!closed()) after_sending();
}

void Connection::take_frame(Json document, size_t frame_size) {
  if (deadline_kind_ == Deadline::kFrame) forget_deadline();  // each frame has its own 10 s
  bool scalar = !document.is_object() && !document.is_array();
  auto request = wire::parse_request(document);
  // A scalar in a stream of msgpack objects means that the two sides are out of step.
  if (!request && scalar && framer_.encoding() == wire::Encoding::kMsgpack) return refuse(request.error());
  if (!request) return send(wire::make_error(wire::id_of(document), request.error()));
  if (frame_size > wire::kMaxRequest && request->method != "write") {
    return refuse({ErrorCode::kFrameTooLarge,
                   "the request is longer than " + std::to_string(wire::kMaxRequest) + " bytes", 0, nullptr});
  }
  listener_.request(*this, std::move(*request));
}

void Connection::send(Json message) {
  if (!closed()) send_frame(wire::encode_frame(std::move(message), framer_.encoding()));
}

void Connection::send_frame(std::string frame) {
  if (closed()) return;
  unread_.bytes += frame.size();
  if (pending() == 0) {
    out_ = std::move(frame);
    sent_ = 0;
  } else {
    out_ += frame;
  }
  most_held_ = std::max(most_held_, out_.size());
  flush();
}

void Connection::reply(const wire::Request& request, Result<Json> result) {
  if (!request.expects_reply) return;
  send(result ? wire::make_reply(request.id, std::move(*result))
              : wire::make_error(request.id, result.error()));
}

void Connection::reply(const wire::Request& request, wire::EncodedResult& result) {
  if (request.expects_reply) send_frame(result.reply(request.id, framer_.encoding()));
}

void Connection::refuse(const Failure& failure) {
  send(wire::make_error(nullptr, failure));
  close_when_sent();
}

void Connection::close_when_sent() {
  closing_ = true;
  if (!closed()) after_sending();
}

void Connection::reply_given() {
  --awaited_;
  if (!closed() && awaited_ == 0) after_sending();
}

void Connection::flush() {
  if (flushing_) return;  // the loop in send_and_tell() sends what its callback adds
  send_and_tell();
  if (closed() || processing_) return;  // process_frames() goes on
  if (more_ && !closing_ && !held_up()) return process_frames();
  after_sending();
}

// Sends what waits, then what the subscription has to tell, as long as the client takes it. If nothing is
// pending afterwards, the subscription has nothing to tell.
void Connection::send_and_tell() {
  flushing_ = true;
  for (int round = 0; round < kRoundsATurn && write_out() && !processing_; ++round) {
    listener_.writable(*this);
    if (pending() == 0) break;
  }
  flushing_ = false;
}

// Returns whether everything is sent and the connection still open.
bool Connection::write_out() {
  while (!closed() && pending() > 0) {
    ssize_t n = ::send(fd_.get(), out_.data() + sent_, pending(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return false;
    if (n < 0) {
      close();
      return false;
    }
    sent_ += static_cast<size_t>(n);
    unread_.bytes -= static_cast<size_t>(n);
    forget_deadline();  // a client that reads slowly is not cut
  }
  std::string().swap(out_);
  sent_ = 0;
  return !closed();
}

void Connection::after_sending() {
  const bool at_rest = !processing_ && !flushing_;
  // Events that happened before the last reply went out are due; later ones are not.
  if (at_rest && subscription_ && !closing_ && all_answered()) {
    subscription_->ending = true;
    send_and_tell();
  }
  if (closed()) return;
  if (at_rest && all_answered()) return close();
  update_interest();
  update_deadline();
}

// Nothing is to be sent, and no request is left that could change that.
bool Connection::all_answered() const {
  return pending() == 0 && (closing_ || (input_ended_ && !more_ && awaited_ == 0));
}

// Whether the client has to read before its next request is looked at.
bool Connection::held_up() const {
  return pending() >= (unread_.bytes < kMaxUnreadOfAll ? kMaxUnread : kMaxUnreadOfMany);
}

void Connection::update_interest() {
  int events = 0;
  if (input_ended_ || closing_) {
    events |= UV_PRIORITIZED;  // nothing more to read; it still reports a hang-up
  } else if (!held_up()) {
    events |= UV_READABLE;
  }
  if (pending() > 0) events |= UV_WRITABLE;
  poll_.set_events(events);
  if (more_ && !closing_ && !held_up()) {
    next_turn_.start(loop_, [this] { process_frames(); });
  } else {
    next_turn_.stop();
  }
}

void Connection::forget_deadline() {
  deadline_kind_ = Deadline::kNone;
  deadline_.stop();
}

void Connection::update_deadline() {
  Deadline wanted = Deadline::kNone;
  if (pending() > 0)
    wanted = Deadline::kUnread;
  else if (framer_.in_frame() && !more_ && !closing_)
    wanted = Deadline::kFrame;
  if (wanted == deadline_kind_) return;
  deadline_kind_ = wanted;
  if (wanted == Deadline::kNone) return deadline_.stop();
  uint64_t time = closing_                     ? kCloseTimeoutMs
                  : wanted == Deadline::kFrame ? kFrameTimeoutMs
                                               : kUnreadTimeoutMs;
  deadline_.start(loop_, time, [this, wanted] {
    deadline_kind_ = Deadline::kNone;
    if (wanted == Deadline::kUnread) return close();  // too_slow, which cannot be said to it
    refuse(
        {ErrorCode::kFrameTimeout, "the rest of the message did not arrive within 10 seconds", 0, nullptr});
  });
}

void Connection::close() {
  if (closed()) return;
  poll_.stop();
  deadline_.stop();
  next_turn_.stop();
  drop_unsent();
  fd_.reset();
  listener_.closed(*this);
}

void Connection::drop_unsent() {
  unread_.bytes -= pending();
  std::string().swap(out_);
  sent_ = 0;
}

}  // namespace bgtask::supervisor
