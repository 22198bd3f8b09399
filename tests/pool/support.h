// Hand-made pools, and test bodies that run in a process of their own.
#pragma once

#include <bgtask/json.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "protocol/io/unique_fd.h"

namespace bgtask::test {

/// A fresh private directory, removed with all that is in it.
class TempDir {
 public:
  TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// A pool of entries made by hand, as supervisors alive and dead would have left them.
class HandMadePool : public TempDir {
 public:
  /// Writes POOL/NAME/{lock,status} with the rings in memory; `info` is merged into a plain status document.
  /// A live one's lock is held as long as the pool lives.
  void add(const std::string& name, bool alive, const Json& info = Json::object());
  /// A directory with a lock, but nothing published.
  void add_unpublished(const std::string& name, bool alive);
  /// A lock held by nobody any more.
  void kill(const std::string& name) { locks_.erase(name); }

  std::filesystem::path entry(const std::string& name) const { return path() / name; }
  void write(const std::string& name, const std::string& file, const std::string& content) const;
  bool exists(const std::string& name) const;

 private:
  std::map<std::string, io::UniqueFd> locks_;
};

/// "boot_id" and "child_start" that name the living process `pid`.
Json supervision_of(pid_t pid);

/// Runs `body` in a forked child, in which anything about the process may be changed, and returns what it
/// returned: the empty string by convention where all was well. Says so if the child dies.
std::string in_child(const std::function<std::string()>& body);

/// Becomes another user for good; for use within in_child.
void become(uid_t uid);

inline constexpr uid_t kSomeUser = 54321;

}  // namespace bgtask::test
