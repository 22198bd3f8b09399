// bgtask meta: look at and change a task's metadata.

#include <algorithm>

#include "cli/conditions.h"
#include "cli/console.h"
#include "cli/escaping.h"
#include "cli/exit_status.h"
#include "cli/output_format.h"
#include "cli/selector.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

bool is_pid_or_last(const std::string& word) {
  return word == "@last" || (!word.empty() && word.find_first_not_of("0123456789") == std::string::npos);
}

// What is to be done, from the arguments after the task.
struct MetaRequest {
  Json changes = Json::object();
  std::vector<std::string> keys;
};

MetaRequest parse_request(const std::vector<std::string>& words) {
  MetaRequest request;
  for (const auto& word : words) {
    if (word.starts_with("{")) {
      const Json object = Json::parse(word, nullptr, false);
      if (!object.is_object()) throw UsageError("meta: '" + word + "' is not a JSON object");
      request.changes.update(object);
    } else if (word.find('=') != std::string::npos) {
      request.changes.update(parse_assignment(word));
    } else if (word.size() > 1 && word.ends_with('-')) {
      request.changes[word.substr(0, word.size() - 1)] = nullptr;
    } else {
      request.keys.push_back(word);
    }
  }
  return request;
}

class MetaVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK] [KEY=VALUE | KEY- | '{JSON object}' | KEY]…");
    command.examples(
        {"bgtask meta 4711                    # all of it, as JSON",
         "bgtask meta web team                # one value",
         "bgtask meta web team=web tries=3 version=1.10   # 3 is a number, 1.10 a text: see docs/cli.md",
         "bgtask meta web --meta-json 'zip=\"01234\"'", "bgtask meta web note-               # removes a key",
         "bgtask meta 4711 '{\"progress\": {\"done\": 10}}'   # merged deeply",
         "bgtask meta progress=50             # inside a task: its own; a number or @last first names "
         "another",
         "bgtask meta -l team=web checked=true"});
    declare_selector(command, selector_);
    command.options("--meta-json", "KEY=JSON", "set KEY to this JSON, whatever it is",
                    [this](const std::string& text) { json_.update(parse_json_assignment(text)); });
    command.choice("-o,--output", {"json", "jsonl"}, "values as JSON; after a change, print the new metadata",
                   &format_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    std::vector<std::string> words = positionals;
    const bool own = take_task(words);
    MetaRequest request = parse_request(words);
    request.changes.update(json_);
    check_task_name(request.changes);
    if (own) {
      Task task = session.own_task();
      return apply(task, request);
    }
    int status = 0;
    const int failure = for_each_task(session, selector_, "meta",
                                      [&](Task& task) { status = std::max(status, apply(task, request)); });
    return std::max(status, failure);
  }

 private:
  // Moves the word that names the task, if there is one, from `words` to the selector. Returns whether the
  // task is our own. Inside a task a name would be ambiguous with a key: there only a pid and @last name
  // another one.
  bool take_task(std::vector<std::string>& words) {
    if (!selector_.empty()) return false;
    const bool inside = Session::inside_task();
    if (words.empty()) {
      if (!inside)
        throw UsageError("meta: of which task? Give a pid, a name, @last, -l, --state, --where or -a");
      return true;
    }
    if (inside && !is_pid_or_last(words.front())) return true;
    if (words.front().find('=') != std::string::npos) {
      throw UsageError("meta: outside of a task the first argument names one, and '" + words.front() +
                       "' does not");
    }
    selector_.words = {words.front()};
    words.erase(words.begin());
    return false;
  }

  int apply(Task& task, const MetaRequest& request) const {
    Json meta;
    if (request.changes.empty()) {
      meta = task.snapshot().at("meta");
    } else {
      meta = task.apply_meta(request.changes);
      if (request.keys.empty() && format_.empty()) return 0;
    }
    if (request.keys.empty()) {
      write_stdout((format_ == "jsonl" ? json_line(meta) : json_text(meta)) + "\n");
      return 0;
    }
    int status = 0;
    for (const auto& key : request.keys)
      status = std::max(status, print_value(task, meta, key));
    return status;
  }

  int print_value(const Task& task, const Json& meta, const std::string& key) const {
    const Json* value = find_value(meta, key);
    if (value == nullptr) {
      say(std::to_string(task.pid()) + " has no metadata '" + key + "'");
      return kExitFailure;
    }
    std::string text = format_.empty() ? plain_text(*value) : json_line(*value);
    if (stdout_is_terminal()) text = escaped(text);
    write_stdout(text + "\n");
    return 0;
  }

  Selector selector_;
  std::string format_;
  Json json_ = Json::object();
};

}  // namespace

VerbEntry meta_verb() {
  return {"meta", "", "look at and change metadata; inside a task: its own",
          []() -> std::unique_ptr<Verb> { return std::make_unique<MetaVerb>(); }};
}

}  // namespace bgtask::cli
