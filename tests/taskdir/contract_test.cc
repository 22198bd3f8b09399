// Names of task files and keys of the status document are spelled in protocol/taskdir only.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace bgtask::taskdir {
namespace {

namespace fs = std::filesystem;

// Words that mean nothing else in the sources. The streams' names, "read", "pid" and the like are words of
// messages too.
const char* const kFileNames[] = {"socket", "lock", "lock.new", "index", "log.old"};
const char* const kKeys[] = {"former_pids", "supervision",  "boot_id",   "child_start",  "exit_code",
                             "core_dumped", "oom_kills",    "on_disk",   "persistent",   "shared_with",
                             "containment", "memory_limit", "cpu_limit", "started_at",   "ended_at",
                             "rusage",      "max_rss",      "cgroup",    "user_seconds", "system_seconds"};

std::vector<std::string> spelled(const fs::path& file) {
  std::ifstream stream(file);
  const std::string text(std::istreambuf_iterator<char>(stream), {});
  std::vector<std::string> found;
  const auto look = [&](const char* word) {
    if (text.find('"' + std::string(word) + '"') != std::string::npos) found.emplace_back(word);
  };
  std::for_each(std::begin(kFileNames), std::end(kFileNames), look);
  std::for_each(std::begin(kKeys), std::end(kKeys), look);
  return found;
}

TEST(TaskDirectoryContract, IsSpelledInOneFolder) {
  int files = 0;
  for (const char* folder : {"protocol", "client", "pool", "supervisor"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(BGTASK_SOURCES) / folder)) {
      if (!entry.is_regular_file() || entry.path().parent_path().filename() == "taskdir") continue;
      if (entry.path().extension() != ".cc" && entry.path().extension() != ".h") continue;
      ++files;
      for (const std::string& word : spelled(entry.path()))
        ADD_FAILURE() << entry.path() << " spells \"" << word << "\": use protocol/taskdir";
    }
  }
  EXPECT_GT(files, 100) << "the sources are where they are looked for";
}

TEST(TaskDirectoryContract, IsFoundWhereItIsSpelled) {
  const fs::path room = fs::path(BGTASK_SOURCES) / "protocol/taskdir";
  EXPECT_EQ(spelled(room / "names.h").size(), std::size(kFileNames));
  EXPECT_FALSE(spelled(room / "status_document.cc").empty());
}

}  // namespace
}  // namespace bgtask::taskdir
