// Shared by the cases about files and users: other users' pools, and snapshots of file trees.
#pragma once

#include <map>
#include <string>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {

constexpr uid_t kOwner = 54'322;     ///< an ordinary user, who has a pool
constexpr uid_t kStranger = 54'321;  ///< another one

/// Permissions and type; 0 if there is no such file.
mode_t mode_of(const std::filesystem::path& path);
/// Snapshot of a directory tree: path to type, mode, owner, inode and content.
std::map<std::string, std::string> picture_of(const std::filesystem::path& directory);

/// Creates entries of every file type.
enum class Entry {
  kFifo,
  kSocket,
  kZeroDevice,
  kLinkToZero,
  kLoop,
  kDangling,
  kDirectory,
  kHuge,
  kEmpty,
};
inline constexpr Entry kEveryEntry[] = {Entry::kFifo,       Entry::kSocket, Entry::kZeroDevice,
                                        Entry::kLinkToZero, Entry::kLoop,   Entry::kDangling,
                                        Entry::kDirectory,  Entry::kHuge,   Entry::kEmpty};
std::string name_of(Entry entry);
void make_entry(const std::filesystem::path& path, Entry entry, uid_t owner = 0);

class FilesTest : public FaultTest {
 protected:
  void SetUp() override;

  /// A pool of another user in base().
  std::filesystem::path pool_of(uid_t uid, const std::string& name = "theirs");
  /// Options with programs that every user may run.
  PoolOptions public_options();
  std::filesystem::path public_program(const std::string& program);
  /// Spawns as that user in that pool; the id.
  pid_t spawn_as(uid_t uid, const std::filesystem::path& pool, SpawnOptions options);
  /// "WORD what" of the error that a user gets; "none: …" if the call succeeds.
  std::string told(uid_t uid, const std::function<std::string()>& attempt) const;

 private:
  std::map<std::string, std::filesystem::path> copies_;
};

/// "WORD what", or "none: …".
std::string words_of(const std::function<std::string()>& attempt);

}  // namespace bgtask::faults
