// Unix sockets by directory descriptor: paths of any length, modes right before the name exists.
#pragma once

#include <sys/types.h>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask::io {

/// A listening non-blocking stream socket `name` in `dir_fd` with mode 0600 from its first moment.
Result<UniqueFd> listen_at(int dir_fd, const char* name, int backlog);

/// Connects a non-blocking stream socket. not_found (no such socket), lost (nobody listens: the errno is
/// ECONNREFUSED), busy (backlog full: EAGAIN), denied (also for a symbolic link: it is not followed).
Result<UniqueFd> connect_at(int dir_fd, const char* name);

struct PeerCredentials {
  pid_t pid = -1;
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
};
/// SO_PEERCRED: the process that connected, or at the client's end the one that called listen. A failure is
/// `denied`.
Result<PeerCredentials> peer_credentials(int socket_fd);
/// Whether the peer was in the group when it connected: as its own group or a supplementary one.
bool peer_in_group(int socket_fd, gid_t group);

}  // namespace bgtask::io
