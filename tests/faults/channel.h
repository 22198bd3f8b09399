// The child's end of the data channel, and what can be sent over a socket beside bytes.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <string_view>
#include <vector>

namespace bgtask::faults {

/// A message with descriptors passed along (SCM_RIGHTS). 0, or the errno.
int send_with(int socket, std::string_view bytes, const std::vector<int>& descriptors);

/// A duplicate of the descriptor that a child sends its data messages through.
class Channel {
 public:
  explicit Channel(pid_t child);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  int fd() const { return fd_; }
  /// 0, or the errno.
  int send(std::string_view bytes) const { return send_with(fd_, bytes, {}); }

 private:
  int fd_ = -1;
};

}  // namespace bgtask::faults
