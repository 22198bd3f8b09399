#include <algorithm>

#include "supervisor/clients/methods/handlers.h"
#include "supervisor/clients/pages.h"

namespace bgtask::supervisor {

Result<wire::OutputReply> handle(const Call& call, const wire::OutputRequest& request) {
  const uint64_t max_bytes =
      std::min<uint64_t>(request.max_bytes.value_or(UINT64_MAX), piece_bytes(call.encoding));
  ring::OutputBatch batch = call.task.output().reader().read(request.cursor, request.streams.bits, max_bytes,
                                                             call.last_output.at(request.cursor));
  call.last_output = {batch.next, batch.place};
  const Rings& rings = call.task.output().rings();
  const wire::Gaps gap{rings.positions(StreamId::kStdout).gap, rings.positions(StreamId::kStderr).gap,
                       rings.positions(StreamId::kData).gap};
  wire::OutputReply reply;
  static_cast<wire::OutputPage&>(reply) = output_page(batch);
  reply.gap = gap;
  reply.eof = batch.eof;
  return reply;
}

}  // namespace bgtask::supervisor
