// The pipes and the data channel between the supervisor and the child.
#pragma once

#include <cstdint>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

/// The number of the data channel in the child.
inline constexpr int kChildDataFd = 3;

/// The supervisor's ends of the child's streams, non-blocking.
struct ChildStreams {
  io::UniqueFd stdin_pipe;  ///< none: the child has /dev/null
  io::UniqueFd stdout_pipe;
  io::UniqueFd stderr_pipe;
  io::UniqueFd data_socket;
};

/// The child's ends, which become its descriptors 0 to 3.
struct ChildEnds {
  io::UniqueFd fds[kChildDataFd + 1];
};

/// Makes both ends of every stream that `spec` asks for. too_many_files, or what else the kernel refuses.
Status make_child_streams(const wire::LaunchSpec& spec, ChildStreams& ours, ChildEnds& theirs);

/// The inode by which an adopter finds a pipe again; 0 without a pipe.
uint64_t pipe_inode(const io::UniqueFd& pipe);

struct Pipe {
  io::UniqueFd read;
  io::UniqueFd write;
};
/// A pipe whose ends are closed at an exec.
Result<Pipe> make_pipe();
Status set_nonblocking(const io::UniqueFd& fd);

}  // namespace bgtask::supervisor
