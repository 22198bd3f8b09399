#include "tests/faults/footprint.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <sstream>

#include "tests/e2e/fixture.h"
#include "tests/e2e/sanitizer.h"

namespace bgtask::faults {
namespace {

// The quarantine of a sanitizer holds 256 MiB.
constexpr int64_t kResidentSlackKib = e2e::kUnderAsan ? 384 * 1024 : 1024;

std::string proc(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

std::string status_line(pid_t pid, const std::string& field) {
  std::istringstream lines(e2e::read_whole(proc(pid, "status")));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(field + ":", 0) == 0) return line.substr(field.size() + 1);
  }
  return "";
}

std::map<int, std::string> descriptors_of(pid_t pid) {
  static const std::regex kNumbers("[0-9]+");
  std::map<int, std::string> found;
  std::error_code gone;
  for (std::filesystem::directory_iterator entry(proc(pid, "fd"), gone), end; !gone && entry != end;
       entry.increment(gone)) {
    std::error_code closed_meanwhile;
    const std::string target = std::filesystem::read_symlink(entry->path(), closed_meanwhile).string();
    // The descriptor this listing is read through is not one that the process holds.
    if (closed_meanwhile || target.find("/fd") != std::string::npos) continue;
    const bool path = target.rfind('/', 0) == 0;
    found[std::atoi(entry->path().filename().c_str())] =
        path ? target : std::regex_replace(target, kNumbers, "N");
  }
  return found;
}

std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0) pids.push_back(pid);
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

bool is_zombie(pid_t pid) {
  return e2e::process_state(pid) == 'Z';
}

template <class T>
void compare(std::string& words, const char* what, const T& before, const T& after) {
  if (before == after) return;
  std::ostringstream text;
  text << what << " was " << before << ", is " << after << "; ";
  words += text.str();
}

std::string in_words(const std::map<int, std::string>& descriptors) {
  std::string words;
  for (const auto& [number, target] : descriptors)
    words += std::to_string(number) + "=" + target + " ";
  return words;
}

std::string in_words(const std::vector<pid_t>& pids) {
  std::string words;
  for (pid_t pid : pids)
    words += std::to_string(pid) + " ";
  return words;
}

}  // namespace

Footprint footprint_of(pid_t pid) {
  Footprint footprint;
  footprint.descriptors = descriptors_of(pid);
  footprint.umask = status_line(pid, "Umask");
  footprint.limits = e2e::read_whole(proc(pid, "limits"));
  footprint.groups = status_line(pid, "Groups");
  footprint.resident_kib = e2e::process_number(pid, "VmRSS");
  for (pid_t other : all_processes()) {
    if (e2e::parent_of(other) == pid && is_zombie(other)) footprint.zombies.push_back(other);
  }
  return footprint;
}

Footprint settled_footprint_of(pid_t pid) {
  constexpr int kRounds = 5;
  Footprint last = footprint_of(pid);
  int same = 0;
  EXPECT_TRUE(e2e::eventually([&] {
    Footprint now = footprint_of(pid);
    same = e2e::process_state(pid) == 'S' && now.descriptors == last.descriptors ? same + 1 : 0;
    last = std::move(now);
    return same == kRounds;
  }));
  return last;
}

std::string difference(const Footprint& before, const Footprint& after) {
  std::string words;
  compare(words, "descriptors", in_words(before.descriptors), in_words(after.descriptors));
  compare(words, "umask", before.umask, after.umask);
  compare(words, "limits", before.limits, after.limits);
  compare(words, "groups", before.groups, after.groups);
  compare(words, "zombies", in_words(before.zombies), in_words(after.zombies));
  if (after.resident_kib > before.resident_kib + kResidentSlackKib)
    compare(words, "resident KiB", before.resident_kib, after.resident_kib);
  return words;
}

std::vector<pid_t> other_processes() {
  std::vector<pid_t> others;
  for (pid_t pid : all_processes()) {
    if (pid != 1 && pid != ::getpid() && !e2e::gone(pid)) others.push_back(pid);
  }
  return others;
}

std::vector<pid_t> zombies_of_supervisors() {
  std::vector<pid_t> zombies;
  for (pid_t pid : all_processes()) {
    if (!is_zombie(pid)) continue;
    const std::string parent = e2e::read_whole(proc(e2e::parent_of(pid), "comm"));
    if (parent.rfind("bgtask", 0) == 0) zombies.push_back(pid);
  }
  return zombies;
}

std::vector<std::string> named_sockets() {
  std::vector<std::string> names;
  std::istringstream lines(e2e::read_whole("/proc/self/net/unix"));
  for (std::string line; std::getline(lines, line);) {
    // Num RefCount Protocol Flags Type St Inode Path: the path only where there is one.
    std::istringstream fields(line);
    std::string word, path;
    for (int i = 0; i < 7; ++i)
      fields >> word;
    if (std::getline(fields >> std::ws, path) && path != "Path" && !path.empty()) names.push_back(path);
  }
  return names;
}

}  // namespace bgtask::faults
