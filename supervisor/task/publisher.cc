#include "supervisor/task/publisher.h"

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kRetryMs = 1000;

}  // namespace

void Publisher::publish() {
  Status written = write();
  if (written) return retry_.stop();
  if (!retry_.running()) files_.log("cannot publish the status: " + written.error().message);
  retry_.start(loop_, kRetryMs, [this] { publish(); });
}

}  // namespace bgtask::supervisor
