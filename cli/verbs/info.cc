// bgtask info: everything known about a task.

#include "cli/console.h"
#include "cli/escaping.h"
#include "cli/output_format.h"
#include "cli/selector.h"
#include "cli/table.h"
#include "cli/task_table.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

// The document as rows "status.state  running".
void flatten(const Json& value, const std::string& path, std::vector<std::vector<Cell>>& rows) {
  if (!value.is_object() || value.empty()) {
    rows.push_back({{path}, {plain_text(value)}});
    return;
  }
  for (const auto& [key, inner] : value.items())
    flatten(inner, path.empty() ? key : path + "." + key, rows);
}

class InfoVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask info 4711", "bgtask info -o table web", "bgtask info -o jsonl -a"});
    declare_selector(command, selector_);
    command.choice(
        "-o,--output", {"json", "jsonl", "table", "name"},
        "json (default): a document for each task; jsonl: on one line; table: a row for each member",
        &format_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    if (selector_.empty() && Session::inside_task()) {
      Task own = session.own_task();
      print(own);
      return 0;
    }
    return for_each_task(session, selector_, "info", [this](Task& task) { print(task); });
  }

 private:
  void print(Task& task) const {
    const Json& info = task.info(true);
    if (format_ == "jsonl") {
      write_stdout(json_line(info) + "\n");
    } else if (format_ == "name") {
      const std::string name = task_name(info);
      write_stdout((name.empty() ? std::to_string(task.pid()) : escaped(name)) + "\n");
    } else if (format_ == "table") {
      std::vector<std::vector<Cell>> rows;
      flatten(info, "", rows);
      write_stdout(table({{"KEY"}, {"VALUE"}}, rows, {.header = false}));
    } else {
      write_stdout(json_text(info) + "\n");
    }
  }

  Selector selector_;
  std::string format_ = "json";
};

}  // namespace

VerbEntry info_verb() {
  return {"info", "inspect show", "everything known about a task",
          []() -> std::unique_ptr<Verb> { return std::make_unique<InfoVerb>(); }};
}

}  // namespace bgtask::cli
