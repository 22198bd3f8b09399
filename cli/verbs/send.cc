// bgtask send: text for a task's stdin.

#include "cli/console.h"
#include "cli/selector.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

constexpr std::size_t kPiece = 64 * 1024;

class SendVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("TASK [TEXT]");
    command.examples({"bgtask send shell 'echo hello'         # a line: gets the newline it lacks",
                      "bgtask send --no-newline shell y",
                      "bgtask send --close sort < names.txt   # byte for byte, then EOF",
                      "bgtask send shell -- '-n'              # a text that begins with a dash"});
    command.flag("--no-newline", "send TEXT as it is, without adding a newline", &no_newline_);
    command.flag("--close,--eof", "close the task's stdin afterwards", &close_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    if (positionals.empty() || positionals.size() > 2) {
      throw UsageError(
          "send: give the task and at most one TEXT (quote it); without TEXT it comes from stdin");
    }
    Selector selector;
    selector.words = {positionals[0]};
    const Stream stdin_stream = select_one(session, selector).stream("stdin");
    if (positionals.size() == 2) {
      stdin_stream.write_all(as_line(positionals[1]));
    } else {
      copy_stdin(stdin_stream);
    }
    if (close_) stdin_stream.close();
    return 0;
  }

 private:
  // What is typed as an argument is meant as a line, which a shell makes hard to say.
  std::string as_line(std::string text) const {
    if (!no_newline_ && !text.ends_with('\n')) text.push_back('\n');
    return text;
  }

  // Whatever is there is passed on at once: someone may be typing.
  static void copy_stdin(const Stream& stream) {
    for (std::string piece = read_some_stdin(kPiece); !piece.empty(); piece = read_some_stdin(kPiece)) {
      stream.write_all(piece);
    }
  }

  bool no_newline_ = false;
  bool close_ = false;
};

}  // namespace

VerbEntry send_verb() {
  return {"send", "", "write to a task's stdin",
          []() -> std::unique_ptr<Verb> { return std::make_unique<SendVerb>(); }};
}

}  // namespace bgtask::cli
