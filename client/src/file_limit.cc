#include "client/src/file_limit.h"

#include <sys/resource.h>

#include <cerrno>
#include <string>

namespace bgtask {

Failure with_limit_remedy(Failure failure) {
  rlimit limit{};
  if (failure.os_error == EMFILE && ::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    const std::string soft = std::to_string(limit.rlim_cur);
    failure.message += limit.rlim_cur < limit.rlim_max
                           ? "; this process may have " + soft +
                                 " files open (RLIMIT_NOFILE): raise the limit to up to " +
                                 std::to_string(limit.rlim_max) + " with setrlimit(2) or 'ulimit -n'"
                           : "; this process may have " + soft +
                                 " files open (RLIMIT_NOFILE), its hard limit: only root can raise it";
  } else if (failure.os_error == ENFILE) {
    failure.message += "; the whole system is at its limit: see the sysctl fs.file-max";
  }
  return failure;
}

}  // namespace bgtask
