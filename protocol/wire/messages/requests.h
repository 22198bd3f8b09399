// The requests: a struct for each method, with the type of its reply. A member that is left out has the value
// that the struct gives it.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "protocol/wire/json.h"
#include "protocol/wire/messages/replies.h"
#include "protocol/wire/messages/values.h"
#include "protocol/wire/methods.h"

namespace bgtask::wire {

struct PingRequest {
  static constexpr MethodId kMethod = MethodId::kPing;
  using Reply = PingReply;
};

struct MethodsRequest {
  static constexpr MethodId kMethod = MethodId::kMethods;
  using Reply = DocumentReply;
};

struct InfoRequest {
  static constexpr MethodId kMethod = MethodId::kInfo;
  using Reply = DocumentReply;
};

struct ApplyMetaRequest {
  static constexpr MethodId kMethod = MethodId::kApplyMeta;
  using Reply = DocumentReply;
  Json meta = Json::object();
};

struct KillRequest {
  static constexpr MethodId kMethod = MethodId::kKill;
  using Reply = SignalledReply;
  Signal signal = {};
  SignalScope scope = SignalScope::kGroup;
};

struct PauseRequest {
  static constexpr MethodId kMethod = MethodId::kPause;
  using Reply = SignalledReply;
  bool pause = true;
};

struct ResumeRequest {
  static constexpr MethodId kMethod = MethodId::kResume;
  using Reply = SignalledReply;
};

struct RestartRequest {
  static constexpr MethodId kMethod = MethodId::kRestart;
  using Reply = RestartReply;
  bool force = false;  ///< also beside living descendants of the last run
};

struct StopRequest {
  static constexpr MethodId kMethod = MethodId::kStop;
  using Reply = Receipt;
  std::optional<double> grace = {};   ///< seconds; none: the task's
  std::optional<Signal> signal = {};  ///< none: the task's
};

struct DeleteRequest {
  static constexpr MethodId kMethod = MethodId::kDelete;
  using Reply = Receipt;
  std::optional<double> grace = {};  ///< seconds; none: the task's own, or 3
  bool collect = false;              ///< unconsumed output is sent as events before the reply
};

struct StreamInfoRequest {
  static constexpr MethodId kMethod = MethodId::kStreamInfo;
  using Reply = DocumentReply;
  Stream stream = {};
};

struct ReadRequest {
  static constexpr MethodId kMethod = MethodId::kRead;
  using Reply = ReadReply;
  Stream stream = {};
  std::optional<uint64_t> offset = {};  ///< none: the first unconsumed
  std::optional<uint64_t> count = {};   ///< none: all
  bool peek = false;
  bool discard = false;
};

struct OutputRequest {
  static constexpr MethodId kMethod = MethodId::kOutput;
  using Reply = OutputReply;
  uint64_t cursor = 0;
  StreamSet streams = {};
  std::optional<uint64_t> max_bytes = {};
};

struct WriteRequest {
  static constexpr MethodId kMethod = MethodId::kWrite;
  using Reply = WriteReply;
  Stream stream = {};
  Bytes data = {};
  bool follows = false;
};

struct CloseRequest {
  static constexpr MethodId kMethod = MethodId::kClose;
  using Reply = TrueReply;
  Stream stream = {};
  bool immediate = false;
};

struct WaitRequest {
  static constexpr MethodId kMethod = MethodId::kWait;
  using Reply = WaitReply;
  WaitEvents events{.exit = true};
  uint64_t cursor = 0;
  std::optional<double> timeout = {};  ///< seconds
  bool status = true;                  ///< of the task, in the reply
};

struct SubscribeRequest {
  static constexpr MethodId kMethod = MethodId::kSubscribe;
  using Reply = SubscribeReply;
  EventKinds events = {};
  std::optional<uint64_t> cursor = {};  ///< none: from now on
  StreamSet streams = {};
};

struct UnsubscribeRequest {
  static constexpr MethodId kMethod = MethodId::kUnsubscribe;
  using Reply = TrueReply;
};

/// A decoded request of any method.
using AnyRequest = std::variant<PingRequest, MethodsRequest, InfoRequest, ApplyMetaRequest, KillRequest,
                                PauseRequest, ResumeRequest, RestartRequest, StopRequest, DeleteRequest,
                                StreamInfoRequest, ReadRequest, OutputRequest, WriteRequest, CloseRequest,
                                WaitRequest, SubscribeRequest, UnsubscribeRequest>;

}  // namespace bgtask::wire
