// One client: frames in, replies and notifications out.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "protocol/io/unique_fd.h"
#include "protocol/io/uv_handles.h"
#include "protocol/ring/output_reader.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/encoded_result.h"
#include "protocol/wire/json.h"
#include "protocol/wire/message.h"
#include "supervisor/streams/stdin_queue.h"

namespace bgtask::supervisor {

/// A client's subscription. Output has a cursor into the rings and no queue: a client that falls behind is
/// told what it missed. Other events are kept as marks until they can be sent.
struct Subscription {
  bool output = false;
  bool exit = false;
  bool meta = false;
  bool stream = false;
  uint64_t cursor = 0;
  std::optional<ring::OutputPlace> place;  ///< at the cursor: what is missing is counted from there
  uint32_t streams = 0;

  std::optional<uint64_t> exit_at;  ///< cursor at the task's end: `exit` is sent once it is reached
  bool ending = false;              ///< the client has half-closed: only what is due now is sent
  std::optional<uint64_t> end;      ///< where the output that is due then ends
  bool meta_due = false;
  uint32_t ended_streams = 0;  ///< bits by StreamId
};

/// Credentials of the client and the rights that follow from them. The defaults refuse everything.
struct Peer {
  uid_t uid = static_cast<uid_t>(-1);
  pid_t pid = 0;
  bool allowed = false;
  bool may_change = false;
};

/// Bytes of replies and notifications, over all connections, that their clients have not read.
struct Unread {
  size_t bytes = 0;
};

class Connection {
 public:
  static constexpr size_t kLarge = 32 * 1024;
  static constexpr uint32_t kMaxAwaited = 256;  ///< requests of one client that wait to be answered

  struct Listener {
    std::function<void(Connection&, wire::Request)> request;
    std::function<void(Connection&)> writable;  ///< everything is sent: more events may be produced
    std::function<void(Connection&)> closed;    ///< the owner destroys it at the end of the turn
  };

  /// `unread` is shared by all connections and outlives them.
  Connection(io::Loop& loop, io::UniqueFd fd, const Peer& peer, Unread& unread, Listener listener);
  ~Connection();

  Status start();

  const Peer& peer() const { return peer_; }
  wire::Encoding encoding() const { return framer_.encoding(); }
  bool closed() const { return !fd_; }
  /// Whether its buffers have ever been large.
  bool was_large() const { return most_held_ > kLarge; }
  /// Whether nothing waits to be sent, so that a notification goes out at once.
  bool idle() const { return pending() == 0; }

  /// Sends a message as far as the socket takes it; the rest follows when the socket is writable.
  void send(Json message);
  void reply(const wire::Request& request, Result<Json> result);
  void reply(const wire::Request& request, wire::EncodedResult& result);
  /// Sends an error that answers no request, then closes the connection.
  void refuse(const Failure& failure);
  /// Closes once everything is sent, at the latest after 10 s.
  void close_when_sent();

  std::optional<Subscription>& subscription() { return subscription_; }
  WriteChain& writes() { return writes_; }
  /// Where the last reply to `output` ended.
  ring::LastOutput& last_output() { return last_output_; }

  /// Counts requests that are answered later: a half-closed connection stays open for them.
  void expect_reply() { ++awaited_; }
  void reply_given();
  uint32_t awaited() const { return awaited_; }

 private:
  void on_ready(int events);
  void receive();
  ssize_t receive_some();
  void process_frames();
  void send_frame(std::string frame);
  void take_frame(Json document, size_t frame_size);
  void flush();
  void send_and_tell();
  bool write_out();
  void after_sending();
  bool all_answered() const;
  bool held_up() const;
  void update_interest();
  void update_deadline();
  void forget_deadline();
  void close();
  void drop_unsent();
  size_t pending() const { return out_.size() - sent_; }

  io::Loop& loop_;
  io::UniqueFd fd_;
  Peer peer_;
  Unread& unread_;
  Listener listener_;
  io::Poll poll_;
  io::Timer deadline_;  // runs only in the middle of a frame, or while the client does not read
  enum class Deadline { kNone, kFrame, kUnread } deadline_kind_ = Deadline::kNone;
  wire::Framer framer_;
  std::string out_;
  size_t sent_ = 0;
  size_t most_held_ = 0;
  uint32_t awaited_ = 0;
  bool input_ended_ = false;
  bool closing_ = false;
  bool processing_ = false;
  bool flushing_ = false;
  bool more_ = false;       // frames may be left: for the next turn, or until the client has read
  io::NextTurn next_turn_;  // runs while frames may be left and their replies may be sent
  std::optional<Subscription> subscription_;
  ring::LastOutput last_output_;
  WriteChain writes_;
};

}  // namespace bgtask::supervisor
