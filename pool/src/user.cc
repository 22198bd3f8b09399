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

tl::unexpected<Failure> user_failure(const std::string& name, const std::string& why, int os_error) {
  return fail(Failure{ErrorCode::kBadArgument, "user '" + name + "': " + why, os_error, nullptr});
}

// A name wins over a number where both would fit, as with chown(1).
Result<Account> account_of(const std::string& name) {
  std::vector<char> buffer(kFirstBuffer);
  passwd entry{};
  passwd* found = nullptr;
  auto ask = [&](auto lookup) {
    int error = ERANGE;
    while ((error = lookup()) == ERANGE && buffer.size() < kLargestBuffer)
      buffer.resize(buffer.size() * 2);
    return error;
  };
  int error = ask([&] { return ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found); });
  if (std::optional<uid_t> number = number_of(name); found == nullptr && number) {
    error = ask([&] { return ::getpwuid_r(*number, &entry, buffer.data(), buffer.size(), &found); });
  }
  if (found != nullptr) return Account{entry.pw_name, entry.pw_uid, entry.pw_gid};
  // Several errnos mean "no such user", depending on the name service asked.
  bool unknown = error == 0 || error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
  if (unknown) return user_failure(name, "there is no such user", ENOENT);
  return user_failure(name, std::string("cannot be looked up: ") + std::strerror(error), error);
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

}  // namespace bgtask
