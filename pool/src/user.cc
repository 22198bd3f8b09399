#include "pool/src/user.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

namespace bgtask {
namespace {

constexpr size_t kFirstBuffer = 4096;
constexpr size_t kLargestBuffer = 1 << 20;

struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

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

// Calls a lookup of the C library with a buffer that is large enough for it.
template <class Lookup>
int with_buffer(std::vector<char>& buffer, Lookup lookup) {
  int error = ERANGE;
  while ((error = lookup(buffer.data(), buffer.size())) == ERANGE && buffer.size() < kLargestBuffer)
    buffer.resize(buffer.size() * 2);
  return error;
}

// A name wins over a number where both would fit, as with chown(1).
Result<Account> account_of(const std::string& name) {
  std::vector<char> buffer(kFirstBuffer);
  passwd entry{};
  passwd* found = nullptr;
  int error = with_buffer(buffer, [&](char* text, size_t size) {
    return ::getpwnam_r(name.c_str(), &entry, text, size, &found);
  });
  if (std::optional<uid_t> number = number_of(name); found == nullptr && number) {
    error = with_buffer(
        buffer, [&](char* text, size_t size) { return ::getpwuid_r(*number, &entry, text, size, &found); });
  }
  if (found == nullptr) return lookup_failure("user", name, error);
  return Account{entry.pw_name, entry.pw_uid, entry.pw_gid};
}

std::vector<gid_t> groups_of(const Account& account) {
  int count = 32;
  std::vector<gid_t> groups(static_cast<size_t>(count));
  while (::getgrouplist(account.name.c_str(), account.gid, groups.data(), &count) < 0) {
    // Grown at least twofold: a count that does not grow must not make this endless.
    count = std::max(count, static_cast<int>(groups.size()) * 2);
    groups.resize(static_cast<size_t>(count));
  }
  groups.resize(static_cast<size_t>(count));
  return groups;
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
  std::vector<char> buffer(kFirstBuffer);
  group entry{};
  group* found = nullptr;
  int error = with_buffer(buffer, [&](char* text, size_t size) {
    return ::getgrnam_r(name.c_str(), &entry, text, size, &found);
  });
  if (found != nullptr) return wire::GroupSpec{entry.gr_name, entry.gr_gid};
  if (std::optional<gid_t> number = number_of(name)) return wire::GroupSpec{name, *number};
  return lookup_failure("group", name, error);
}

}  // namespace bgtask
