// bgtask emit: inside a task, one message on its data channel.

#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

constexpr std::size_t kLongestMessage = 64 * 1024;

// The descriptor in $BGTASK_DATA_FD, known to be a socket that keeps message boundaries.
int data_channel() {
  const char* variable = std::getenv("BGTASK_DATA_FD");
  if (variable == nullptr) {
    throw UsageError("emit: this is not the inside of a task ($BGTASK_DATA_FD is not set)");
  }
  const std::string_view text = variable;
  int fd = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
  if (error != std::errc() || end != text.data() + text.size() || fd < 0) {
    throw UsageError("emit: $BGTASK_DATA_FD is '" + std::string(text) + "', which is no descriptor");
  }
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_SEQPACKET) {
    throw UsageError("emit: descriptor " + std::string(text) +
                     " ($BGTASK_DATA_FD) is not the task's data channel; was it closed on the way here?");
  }
  return fd;
}

class EmitVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TEXT]");
    command.examples({"bgtask emit '{\"progress\": 10}'     # in a script that runs as a task",
                      "bgtask emit < report.json          # one message, at most 64 KiB",
                      "bgtask read --stream data web      # outside: takes the messages"});
  }

  int execute(Session&, const std::vector<std::string>& positionals) override {
    if (positionals.size() > 1) throw UsageError("emit: one TEXT makes one message; quote it");
    const int fd = data_channel();
    const std::string message = positionals.empty() ? read_stdin(kLongestMessage + 1) : positionals[0];
    if (message.size() > kLongestMessage) {
      throw UsageError("emit: a message has at most " + std::to_string(kLongestMessage) + " bytes (64 KiB)");
    }
    return send(fd, message);
  }

 private:
  static int send(int fd, const std::string& message) {
    ssize_t sent = -1;
    do {
      sent = ::send(fd, message.data(), message.size(), MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return 0;
    const bool gone = errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN;
    say(gone ? std::string("emit: nobody takes messages any more: the task's supervisor is gone")
             : std::string("emit: cannot send: ") + std::strerror(errno));
    return kExitFailure;
  }
};

}  // namespace

VerbEntry emit_verb() {
  return {"emit", "", "inside a task: send one data message",
          []() -> std::unique_ptr<Verb> { return std::make_unique<EmitVerb>(); }};
}

}  // namespace bgtask::cli
