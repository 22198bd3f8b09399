// Where tasks are kept unless a caller names a pool.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace bgtask::taskdir {

struct DefaultPool {
  std::string path;
  /// Mode to make a missing directory with. Nothing where root or the caller has to make it.
  std::optional<mode_t> make_with;
  /// What to do where the pool is missing and `make_with` is empty; "" where the path says enough.
  std::string remedy;
};

/// $BGTASK_POOL; else /var/run/bgtask for root; else $XDG_RUNTIME_DIR/bgtask; else /run/user/UID/bgtask where
/// /run/user/UID belongs to the caller and only the caller may write to it; else /var/run/bgtask/UID, which
/// only root can make. Creates nothing. A set-user-ID program ignores the environment.
DefaultPool default_pool();

}  // namespace bgtask::taskdir
