#include <algorithm>

#include "supervisor/clients/methods/handlers.h"
#include "supervisor/clients/pages.h"
#include "supervisor/clients/subscriptions.h"

namespace bgtask::supervisor {

Result<Json> handle_output(const Call& call) {
  uint64_t max_bytes =
      std::min<uint64_t>(call.params.value("max_bytes", uint64_t{UINT32_MAX}), piece_bytes(call.encoding));
  ring::OutputBatch batch = call.task.output().reader().read(call.params.value("cursor", uint64_t{0}),
                                                             stream_bits(call.params), max_bytes);
  Json reply = output_page(batch);
  reply["eof"] = batch.eof;
  return reply;
}

}  // namespace bgtask::supervisor
