// bgtask delete: stop a task and remove every trace of it.

#include "cli/action_report.h"
#include "cli/console.h"
#include "cli/log_printer.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class DeleteVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask delete 4711", "bgtask delete --collect web > last-words",
                      "bgtask rm -l team=web --state exited"});
    command.option("--grace", "TIME", "between the stop signal and KILL (default: 3s, or that of the task)",
                   [this](const std::string& text) { options_.grace = Seconds(parse_duration(text)); });
    command.flag("--collect", "print the output nobody has consumed", &options_.collect);
    command.flag("-f,--force", "a task that is not there is no failure", &selector_.missing_ok);
    declare_selector(command, selector_);
    report_.declare(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    const int status =
        for_tasks_at_once(session, selector_, "delete", [this](Task& task) { return remove(task); });
    report_.finish();
    return status;
  }

 private:
  Report remove(Task& task) {
    const std::string signal = task.published({"stop_signal"}).value("stop_signal", "TERM");
    return
        [this, pid = task.pid(), signal, receipt = task.remove(options_)] { report(pid, signal, receipt); };
  }

  void report(pid_t pid, const std::string& signal, const RemoveReceipt& receipt) {
    Json document = {{"pid", pid},
                     {"signalled", receipt.signalled},
                     {"exited", receipt.exited},
                     {"killed", receipt.killed},
                     {"survivors", receipt.survivors}};
    if (options_.collect) {
      document["output"] = Json::array();
      for (const auto& chunk : receipt.output)
        document["output"].push_back(chunk_as_json(chunk));
      if (!report_.as_json()) print(receipt.output);
    }
    report_.add(document, words(pid, signal, receipt));
  }

  static void print(const std::vector<OutputChunk>& output) {
    LogStyle style;
    style.fit_terminals();
    LogPrinter printer(style);
    for (const auto& chunk : output)
      printer.take(chunk);
    printer.finish();
  }

  static std::string words(pid_t pid, const std::string& signal, const RemoveReceipt& receipt) {
    std::string text = "deleted " + std::to_string(pid);
    if (receipt.signalled > 0)
      text += ", sent " + signal + " to " + count_of(receipt.signalled, "process", "processes");
    if (receipt.killed > 0) text += ", had to kill " + std::to_string(receipt.killed);
    return text;
  }

  RemoveOptions options_;
  Selector selector_;
  ActionReport report_;
};

}  // namespace

VerbEntry delete_verb() {
  return {"delete", "rm remove", "stop a task and remove every trace of it",
          []() -> std::unique_ptr<Verb> { return std::make_unique<DeleteVerb>(); }};
}

}  // namespace bgtask::cli
