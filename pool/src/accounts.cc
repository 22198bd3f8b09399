#include "pool/src/accounts.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>

namespace bgtask {
namespace {

constexpr size_t kFirstBuffer = 4096;
constexpr size_t kLargestBuffer = 1 << 20;

// Calls a lookup of the C library with a buffer that is large enough for it.
template <class Entry, class Function>
int with_buffer(std::vector<char>& buffer, Entry** found, Function lookup) {
  buffer.resize(kFirstBuffer);
  int error = ERANGE;
  while ((error = lookup(buffer.data(), buffer.size(), found)) == ERANGE && buffer.size() < kLargestBuffer)
    buffer.resize(buffer.size() * 2);
  return error;
}

template <class Function>
Lookup<Account> account(Function lookup) {
  std::vector<char> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const int error = with_buffer(buffer, &found, [&](char* text, size_t size, passwd** result) {
    return lookup(&entry, text, size, result);
  });
  if (found == nullptr) return {std::nullopt, error};
  return {Account{entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell}, 0};
}

}  // namespace

Lookup<Account> account_named(const std::string& name) {
  return account([&](passwd* entry, char* text, size_t size, passwd** found) {
    return ::getpwnam_r(name.c_str(), entry, text, size, found);
  });
}

Lookup<Account> account_numbered(uid_t uid) {
  return account([&](passwd* entry, char* text, size_t size, passwd** found) {
    return ::getpwuid_r(uid, entry, text, size, found);
  });
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

Lookup<Group> group_named(const std::string& name) {
  std::vector<char> buffer;
  group entry{};
  group* found = nullptr;
  const int error = with_buffer(buffer, &found, [&](char* text, size_t size, group** result) {
    return ::getgrnam_r(name.c_str(), &entry, text, size, result);
  });
  if (found == nullptr) return {std::nullopt, error};
  return {Group{entry.gr_name, entry.gr_gid}, 0};
}

}  // namespace bgtask
