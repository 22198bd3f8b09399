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
  if (error != std::errc() || stopped != end) return std::nullopt;
  return number;
}

tl::unexpected<Failure> lookup_failure(const char* what, const std::string& name, int error) {
  std::string text = std::string(what) + " '" + name + "': ";
  // Several errnos mean "no such one", depending on the name service asked.
  bool unknown = error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
  if (unknown)
    return fail(Failure{ErrorCode::kBadArgument, text + "there is no such " + what, ENOENT, nullptr});
  return fail(Failure{ErrorCode::kBadArgument, text + "cannot be looked up: " + std::strerror(error), error,
                      nullptr});
}

// A name wins over a number where both would fit, as with chown(1).
Result<Account> account_of(const std::string& name) {
  Lookup<Account> account = account_named(name);
  if (std::optional<uid_t> number = number_of(name); !account.found && number)
    account = account_numbered(*number);
  if (!account.found) return lookup_failure("user", name, account.error);
  return *std::move(account.found);
}

}  // namespace

Result<std::optional<wire::UserSpec>> resolve_user(const std::string& name) {
  if (name.empty()) return std::nullopt;
  Result<Account> account = account_of(name);
  if (!account) return fail(std::move(account.error()));
  if (::geteuid() == 0) return wire::UserSpec{account->name, account->uid, account->gid, groups_of(*account)};
  if (account->uid == ::geteuid()) return std::nullopt;
  return fail(ErrorCode::kDenied, "user '" + name + "': only root can run a task as another user");
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
