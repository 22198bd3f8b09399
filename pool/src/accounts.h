// The system's databases of users and groups. What is behind this interface is the C library's name service,
// but in a static program (cli/accounts.cc), which must not load that.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace bgtask {

struct Account {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home = {};
  std::string shell = {};
};

struct Group {
  std::string name;
  gid_t gid = 0;
};

template <class T>
struct Lookup {
  std::optional<T> found;
  int error = 0;  ///< where nothing was found: the reason, or 0
};

Lookup<Account> account_named(const std::string& name);
Lookup<Account> account_numbered(uid_t uid);
std::vector<gid_t> groups_of(const Account& account);
Lookup<Group> group_named(const std::string& name);

}  // namespace bgtask
