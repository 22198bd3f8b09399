#include "protocol/wire/encoded_result.h"

namespace bgtask::wire {

// Joins encoded parts into a message: in both encodings they follow one another.
std::string EncodedResult::reply(const Json& id, Encoding encoding) {
  if (encoding == Encoding::kJson) {
    if (json_.empty()) json_ = R"(,"jsonrpc":"2.0","result":)" + encode_json(result_) + "}\n";
    return R"({"id":)" + encode_json(id) + json_;
  }
  if (msgpack_.empty())
    msgpack_ =
        "\xa7jsonrpc\xa3"
        "2.0\xa6result" +
        encode_msgpack(result_);
  return "\x83\xa2id" + encode_msgpack(id) + msgpack_;  // a map of three
}

}  // namespace bgtask::wire
