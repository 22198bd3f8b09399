#include "protocol/taskdir/default_pool.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace bgtask::taskdir {
namespace {

constexpr const char* kSystemPool = "/var/run/bgtask";
constexpr mode_t kSystemMode = 0755;  // users' own pools lie in it
constexpr mode_t kUserMode = 0700;

const char* variable(const char* name) {
  const char* value = ::secure_getenv(name);
  return value != nullptr ? value : "";
}

// A directory that another user could have prepared is not used.
bool is_private_directory(const std::string& path, uid_t user) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == user &&
         (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

DefaultPool user_pool(uid_t user) {
  const std::string number = std::to_string(user);
  if (const std::string runtime = variable("XDG_RUNTIME_DIR"); runtime.starts_with('/'))
    return {runtime + "/bgtask", kUserMode, ""};
  // sudo, su and cron start sessions without the variable; logind has made the directory all the same.
  if (const std::string runtime = "/run/user/" + number; is_private_directory(runtime, user))
    return {runtime + "/bgtask", kUserMode, ""};
  std::string made_by_root = std::string(kSystemPool) + "/" + number;
  std::string remedy =
      "there is no default pool: set BGTASK_POOL to a directory of yours with mode 0700, or set "
      "XDG_RUNTIME_DIR, or have root make " +
      made_by_root + " for you";
  return {std::move(made_by_root), {}, std::move(remedy)};
}

}  // namespace

DefaultPool default_pool() {
  if (const char* named = variable("BGTASK_POOL"); *named != '\0') return {named, {}, ""};
  const uid_t user = ::geteuid();
  return user == 0 ? DefaultPool{kSystemPool, kSystemMode, ""} : user_pool(user);
}

}  // namespace bgtask::taskdir
