#include "supervisor/task/metadata.h"

#include <string>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::supervisor {
namespace {

void merge(Json& target, const Json& patch) {
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null()) {
      target.erase(key);
    } else if (value.is_object()) {
      Json& member = target[key];
      if (!member.is_object()) member = Json::object();
      merge(member, value);
    } else {
      target[key] = value;
    }
  }
}

}  // namespace

Result<Json> merged_metadata(Json meta, const Json& patch) {
  merge(meta, patch);
  if (size_t size = wire::encode_json(meta).size(); size > wire::kMaxMeta) {
    return fail(Failure{ErrorCode::kBadArgument,
                        "'meta' would be " + std::to_string(size) + " bytes; at most " +
                            std::to_string(wire::kMaxMeta) + " are kept: remove keys by setting them to null",
                        0, Json{{"parameter", "meta"}}});
  }
  return meta;
}

}  // namespace bgtask::supervisor
