#include "tests/faults/channel.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include "protocol/io/pidfd.h"

#include <cerrno>
#include <cstring>

namespace bgtask::faults {

int send_with(int socket, std::string_view bytes, const std::vector<int>& descriptors) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  std::vector<char> control(CMSG_SPACE(descriptors.size() * sizeof(int)));
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  }
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()) ? 0 : errno;
}

Channel::Channel(pid_t child) {
  constexpr int kNumberInTheChild = 3;
  const int handle = ::pidfd_open(child, 0);
  fd_ = ::pidfd_getfd(handle, kNumberInTheChild, 0);
  ::close(handle);
  EXPECT_GE(fd_, 0);
}

Channel::~Channel() {
  ::close(fd_);
}

}  // namespace bgtask::faults
