// The results of replies, and the events of a subscription.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/json.h"
#include "protocol/wire/messages/values.h"

namespace bgtask::wire {

/// "pong".
struct PingReply {};

/// true: what was asked for is done, and there is nothing to tell of it.
struct TrueReply {};

/// A document as it is: info, the metadata, a stream's part of info, the description of the methods.
struct DocumentReply {
  Json document = {};
};

struct SignalledReply {
  uint64_t signalled = 0;  ///< processes
};

struct RestartReply {
  bool restarted = false;
  std::optional<pid_t> child_pid = {};
};

/// What became of a task's processes when they were stopped.
struct Receipt {
  uint64_t signalled = 0;
  uint64_t exited = 0;
  uint64_t killed = 0;
  std::vector<pid_t> survivors = {};
};

/// A message of the data stream.
struct StoredMessage {
  uint64_t offset = 0;
  double time = 0;  ///< seconds since the epoch
  Bytes data = {};
};

/// A page of one stream. It has `data`, or `messages` where the stream is that of messages.
struct ReadReply {
  uint64_t offset = 0;
  std::optional<Bytes> data = {};
  std::optional<std::vector<StoredMessage>> messages = {};
  uint64_t missed = 0;
  uint64_t start = 0;
  uint64_t consumed = 0;
  uint64_t limit = 0;
  uint64_t lost = 0;
  bool gap = false;  ///< false also from a supervisor that does not tell it, as in the others
  bool eof = false;
  uint64_t taken = 0;  ///< of the missed, by a consuming read; 0 also from a supervisor that does not tell it
};

/// A piece of output.
struct Chunk {
  uint64_t seq = 0;
  std::optional<double> time = {};  ///< seconds since the epoch; null where it is not known (any more)
  Stream stream{1};
  uint64_t offset = 0;
  Bytes data = {};
};

/// A page of all output streams.
struct OutputPage {
  std::vector<Chunk> chunks = {};
  uint64_t next = 0;
  Lost lost = {};
  Lost taken = {};  ///< by a consuming read, and so not lost
};

struct OutputReply : OutputPage {
  bool eof = false;
  Gaps gap = {};
};

struct WriteReply {
  uint64_t accepted = 0;
  uint64_t pending = 0;
  uint64_t room = 0;  ///< 0 also from a supervisor that does not tell it
};

struct WaitReply {
  std::string fired = {};
  uint64_t next = 0;
  std::optional<Json> status = {};
};

struct SubscribeReply {
  uint64_t next = 0;
};

/// Params of the notification "event", by the kind that their member `event` names.
struct OutputEvent : OutputPage {
  static constexpr std::string_view kKind = "output";
};

struct ExitEvent {
  static constexpr std::string_view kKind = "exit";
  Json status = {};
  uint64_t runs = 0;  ///< which run ended, counted from 1; 0 from a supervisor that does not tell it
};

struct MetaEvent {
  static constexpr std::string_view kKind = "meta";
  Json meta = {};
};

/// A stream has ended, or could not be read any more.
struct StreamEvent {
  static constexpr std::string_view kKind = "stream";
  Stream stream{1};
  bool eof = false;
  std::optional<std::string> error = {};  ///< the name of an errno
  bool gap = false;
};

}  // namespace bgtask::wire
