#include "client/src/stream_names.h"

#include "protocol/wire/methods.h"

namespace bgtask {

std::optional<int> stream_by_name(std::string_view name) {
  if (name == "out") return kStdout;
  if (name == "err") return kStderr;
  for (const int stream : {kStdin, kStdout, kStderr, kData}) {
    if (wire::stream_name(stream) == name) return stream;
  }
  return std::nullopt;
}

}  // namespace bgtask
