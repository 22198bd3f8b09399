// A result for many requests, encoded once.
#pragma once

#include <string>

#include "protocol/wire/codec.h"
#include "protocol/wire/json.h"

namespace bgtask::wire {

class EncodedResult {
 public:
  explicit EncodedResult(Json result) : result_(std::move(result)) {}

  /// The reply to the request of that id, as a whole frame.
  std::string reply(const Json& id, Encoding encoding);

 private:
  Json result_;
  std::string json_;  // empty until needed, like the next
  std::string msgpack_;
};

}  // namespace bgtask::wire
