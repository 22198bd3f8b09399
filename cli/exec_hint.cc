#include "cli/exec_hint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "protocol/io/unique_fd.h"

namespace bgtask::cli {
namespace {

constexpr std::size_t kHead = 256;  // what the kernel looks at: BINPRM_BUF_SIZE
constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kElf =
    "\x7f"
    "ELF";

// The program named after "#!".
std::string interpreter(std::string_view head) {
  std::string_view line = head.substr(
      2, head.find('\n') == std::string_view::npos ? std::string_view::npos : head.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  return std::string(line.substr(0, line.find_first_of(kBlanks)));
}

std::string interpreter_hint(std::string_view head) {
  if (head.starts_with(kElf)) return "the file is there, but not the dynamic loader that it was linked for";
  if (!head.starts_with("#!")) return "";
  const std::string program = interpreter(head);
  if (!program.ends_with('\r')) return "the file is there, but not its interpreter '" + program + "'";
  return "the file is there, but its first line ends in a carriage return, so that its interpreter would be "
         "'" +
         program + "'; convert it to Unix line ends";
}

bool is_assignment(std::string_view word) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  const auto equals = word.find('=');
  return equals != std::string_view::npos && equals > 0 && word.find_first_not_of(kLetters) == equals &&
         word.front() > '9';
}

std::string missing_hint(const std::string& word) {
  if (is_assignment(word)) return "to set a variable, give -e " + word + " before the command";
  if (word.find_first_of(kBlanks) == std::string::npos) return "";
  return "for a whole command line in one argument give -c, or put its words apart";
}

std::string not_a_program_hint(std::string_view head) {
  if (head.empty()) return "the file is empty";
  if (head.starts_with(kElf)) return "it was built for another machine";
  return "a script needs a first line such as #!/bin/sh";
}

std::string denied_hint(const CommandFile& file) {
  if (file.directory) return "it is a directory";
  return file.executable ? "" : "its mode does not let it be executed (chmod +x)";
}

std::optional<CommandFile> look_at(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return std::nullopt;
  CommandFile file;
  file.directory = S_ISDIR(st.st_mode);
  file.executable = (st.st_mode & 0111) != 0;
  if (!S_ISREG(st.st_mode)) return file;
  const io::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char head[kHead];
  const ssize_t size = fd ? ::read(fd.get(), head, sizeof head) : 0;
  if (size > 0) file.head.assign(head, static_cast<std::size_t>(size));
  return file;
}

// The PATH that the command is looked for in.
std::string search_path(const SpawnOptions& options) {
  if (const auto given = options.env.find("PATH"); given != options.env.end()) return given->second;
  const char* own = options.clear_env ? nullptr : std::getenv("PATH");
  return own == nullptr ? "/usr/local/bin:/usr/bin:/bin" : own;
}

std::optional<CommandFile> find_file(const SpawnOptions& options) {
  const std::string& word = options.exec.front();
  const std::string base = options.cwd.empty() ? "" : options.cwd + "/";
  if (word.find('/') != std::string::npos) return look_at(word.starts_with('/') ? word : base + word);
  const std::string path = search_path(options);
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string directory = path.substr(begin, end - begin);
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + word;
    if (auto file = look_at(candidate.starts_with('/') ? candidate : base + candidate)) return file;
    begin = end + 1;
  }
  return std::nullopt;
}

}  // namespace

std::string exec_hint(const std::string& word, const std::optional<CommandFile>& file, int os_error) {
  if (os_error == ENOENT) return file ? interpreter_hint(file->head) : missing_hint(word);
  if (!file) return "";
  if (os_error == ENOEXEC) return not_a_program_hint(file->head);
  return os_error == EACCES ? denied_hint(*file) : "";
}

std::string exec_hint(const SpawnOptions& options, int os_error) {
  return options.exec.empty() ? "" : exec_hint(options.exec.front(), find_file(options), os_error);
}

}  // namespace bgtask::cli
