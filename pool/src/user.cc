#include "pool/src/user.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "pool/src/accounts.h"

namespace bgtask {
namespace {

std::optional<uid_t> number_of(const std::string& text) {
  uid_t number = 0;
  const char* end = text.data() + text.size();
  auto [stopped, error] = std::from_chars(text.data(), end, number);
  // The system calls take the highest number for "leave it as it is": the command would stay root.
  if (error != std::errc() || stopped != end || number == static_cast<uid_t>(-1)) return std::nullopt;
  return number;
}

// Several errnos mean "no such one", depending on the name service asked.
bool means_unknown(int error) {
  return error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

tl::unexpected<Failure> lookup_failure(const char* what, const std::string& name, int error) {
  std::string text = std::string(what) + " '" + name + "': ";
  if (means_unknown(error))
    return fail(Failure{ErrorCode::kBadArgument, text + "there is no such " + what, ENOENT, nullptr});
  return fail(Failure{ErrorCode::kBadArgument, text + "cannot be looked up: " + std::strerror(error), error,
                      nullptr});
}

// A name wins over a number where both would fit, as with chown(1).
Result<Account> account_of(const std::string& name) {
  Lookup<Account> account = account_named(name);
  const std::optional<uid_t> number = number_of(name);
  if (!account.found && number) account = account_numbered(*number);
  if (account.found) return *std::move(account.found);
  if (!number || !means_unknown(account.error)) return lookup_failure("user", name, account.error);
  return Account{name, *number, *number, "", ""};
}

Status allowed(const std::string& text, const Account& account) {
  if (::geteuid() == 0 || (account.uid == ::geteuid() && account.gid == ::getegid())) return {};
  return fail(ErrorCode::kDenied, "user '" + text + "': only root can run a task as another user or group");
}

std::map<std::string, std::string> environment_of(const Account& account) {
  return {{"HOME", account.home.empty() ? "/" : account.home},
          {"USER", account.name},
          {"LOGNAME", account.name},
          {"SHELL", account.shell.empty() ? "/bin/sh" : account.shell}};
}

}  // namespace

Result<std::optional<ChosenUser>> resolve_user(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto colon = text.find(':');
  Result<Account> account = account_of(text.substr(0, colon));
  if (!account) return fail(std::move(account.error()));
  if (colon == std::string::npos) {
    if (::geteuid() != 0 && account->uid == ::geteuid()) return std::nullopt;
    if (Status ok = allowed(text, *account); !ok) return fail(std::move(ok.error()));
    return ChosenUser{{account->name, account->uid, account->gid, groups_of(*account)},
                      environment_of(*account)};
  }
  const auto group = resolve_group(text.substr(colon + 1));
  if (!group) return fail(Failure(group.error()));
  if (!*group) return lookup_failure("group", "", 0);
  account->gid = (*group)->gid;
  if (Status ok = allowed(text, *account); !ok) return fail(std::move(ok.error()));
  if (::geteuid() != 0) return std::nullopt;
  return ChosenUser{{account->name, account->uid, account->gid, {account->gid}}, environment_of(*account)};
}

// A number is a group whether or not it has a name, as with chgrp(1).
Result<std::optional<wire::GroupSpec>> resolve_group(const std::string& name) {
  if (name.empty()) return std::nullopt;
  const Lookup<Group> group = group_named(name);
  if (group.found) return wire::GroupSpec{group.found->name, group.found->gid};
  if (std::optional<gid_t> number = number_of(name)) return wire::GroupSpec{name, *number};
  return lookup_failure("group", name, group.error);
}

}  // namespace bgtask
