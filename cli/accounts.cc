// Users and groups in a static program. The C library's name service would load shared objects of the very
// version that this program was built with, so it is not asked here: /etc/passwd is read, and for what is not
// in it a program that may ask, getent(1), does. Takes the place of pool/src/accounts.cc.
#include "pool/src/accounts.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <functional>
#include <memory>
#include <string_view>

namespace bgtask {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// What getent prints, "" for nothing found; an errno where it cannot be run.
Lookup<std::string> getent(const char* database, const std::string& key) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {std::nullopt, errno};
  const std::unique_ptr<std::FILE, CloseFile> output(::fdopen(ends[0], "r"));
  if (!output) return {std::nullopt, errno};  // out of memory, and about to end: the pipe may stay
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const char* argv[] = {"getent", "--", database, key.c_str(), nullptr};
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, const_cast<char**>(argv), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (error != 0) return {std::nullopt, error};
  std::string text;
  for (int c = 0; (c = std::fgetc(output.get())) != EOF;)
    text.push_back(static_cast<char>(c));
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return {text, 0};
}

std::optional<unsigned> number_in(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string_view> parts_of(std::string_view text, const char* separators) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find_first_of(separators, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::optional<Account> in_passwd(const std::function<bool(const passwd&)>& wanted) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/etc/passwd", "re"));
  if (!file) return std::nullopt;
  while (const passwd* entry = ::fgetpwent(file.get())) {
    if (wanted(*entry))
      return Account{entry->pw_name, entry->pw_uid, entry->pw_gid, entry->pw_dir, entry->pw_shell};
  }
  return std::nullopt;
}

void add_from_group_file(const Account& account, std::vector<gid_t>& groups) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen("/etc/group", "re"));
  while (const group* entry = file ? ::fgetgrent(file.get()) : nullptr) {
    for (char** member = entry->gr_mem; *member != nullptr; ++member) {
      if (account.name == *member && entry->gr_gid != account.gid) groups.push_back(entry->gr_gid);
    }
  }
}

Lookup<Account> account(const std::string& key) {
  const Lookup<std::string> line = getent("passwd", key);
  if (!line.found) return {std::nullopt, line.error};
  const auto fields = parts_of(*line.found, ":\n");
  if (fields.size() < 7) return {};
  const auto uid = number_in(fields[2]), gid = number_in(fields[3]);
  if (!uid || !gid) return {};
  return {Account{std::string(fields[0]), *uid, *gid, std::string(fields[5]), std::string(fields[6])}, 0};
}

}  // namespace

Lookup<Account> account_named(const std::string& name) {
  if (auto found = in_passwd([&](const passwd& entry) { return name == entry.pw_name; })) return {found, 0};
  return account(name);
}

Lookup<Account> account_numbered(uid_t uid) {
  if (auto found = in_passwd([&](const passwd& entry) { return uid == entry.pw_uid; })) return {found, 0};
  return account(std::to_string(uid));
}

std::vector<gid_t> groups_of(const Account& account) {
  std::vector<gid_t> groups = {account.gid};
  const Lookup<std::string> line = getent("initgroups", account.name);
  if (!line.found) {  // no getent: then /etc/group is the best there is
    add_from_group_file(account, groups);
    return groups;
  }
  const auto words = parts_of(*line.found, " \n");
  for (size_t i = 1; i < words.size(); ++i) {  // the first is the name
    const auto gid = number_in(words[i]);
    if (gid && *gid != account.gid) groups.push_back(*gid);
  }
  return groups;
}

Lookup<Group> group_named(const std::string& name) {
  const Lookup<std::string> line = getent("group", name);
  if (!line.found) return {std::nullopt, line.error};
  const auto fields = parts_of(*line.found, ":");
  const auto gid = fields.size() < 3 ? std::nullopt : number_in(fields[2]);
  if (!gid) return {};
  return {Group{std::string(fields[0]), *gid}, 0};
}

}  // namespace bgtask
