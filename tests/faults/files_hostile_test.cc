// Root works in a hostile user's pool that has entries of every type where files are expected. Unusable
// entries are skipped and named; no call blocks and no link is followed.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <sstream>

#include "tests/faults/files_fixture.h"

namespace bgtask::faults {
namespace {

constexpr pid_t kFirstId = 5'000'000;  // no process can have it
constexpr const char* kFiles[] = {"status", "lock",  "socket", "stdout", "stderr",
                                  "data",   "index", "log",    "launch"};
constexpr unsigned kAllTime = 60;

struct Hostile {
  pid_t id;
  std::string file;
  Entry entry;
};

class FilesHostile : public FilesTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    path_ = pool_of(kOwner);
    const pid_t pid =
        spawn_as(kOwner, path_, {.exec = {"/bin/sh", "-c", "echo hello; exec sleep 1000"}, .buffer = 65'536});
    Task task(pid, path_);
    ASSERT_TRUE(wait_limit(task, "stdout", 6));
    const pid_t child = child_of(task);
    task.disconnect();
    kill_supervisor(task);
    ASSERT_TRUE(e2e::send_signal(child, SIGKILL));
    ASSERT_TRUE(eventually([&] { return e2e::gone(child); }));
    std::filesystem::rename(path_ / std::to_string(pid), base() / "template");
  }
  void TearDown() override {
    std::filesystem::remove_all(path_);
    FilesTest::TearDown();
  }
  const std::filesystem::path& path() const { return path_; }

  /// A lost task in which one file is replaced by an entry of another type.
  std::filesystem::path make_task(pid_t id, const std::string& file, std::optional<Entry> entry) {
    const std::filesystem::path directory = path_ / std::to_string(id);
    ::mkdir(directory.c_str(), 0700);
    for (const std::string& name : e2e::names_in(base() / "template")) {
      if (name == file || !std::filesystem::is_regular_file(base() / "template" / name)) continue;
      std::filesystem::copy_file(base() / "template" / name, directory / name);
      EXPECT_EQ(::chown((directory / name).c_str(), kOwner, kOwner), 0);
    }
    if (file != "socket") make_entry(directory / "socket", Entry::kSocket, kOwner);
    if (entry) make_entry(directory / file, *entry, kOwner);
    EXPECT_EQ(::chown(directory.c_str(), kOwner, kOwner), 0);
    return directory;
  }
  std::vector<Hostile> make_all() {
    std::vector<Hostile> all;
    for (const char* file : kFiles) {
      for (const Entry entry : kEveryEntry) {
        const pid_t id = kFirstId + static_cast<pid_t>(all.size());
        make_task(id, file, entry);
        all.push_back({id, file, entry});
      }
    }
    return all;
  }
  /// A task without readable status and lock cannot be described.
  static bool is_unreadable(const Hostile& one) {
    return one.file == "status" ||
           (one.file == "lock" && one.entry != Entry::kHuge && one.entry != Entry::kEmpty);
  }

 private:
  std::filesystem::path path_;
};

/// Tries every client call on a task and returns a line "WORD" for each; kills the process if a call hangs.
std::string ask_everything(const std::filesystem::path& pool, const std::vector<pid_t>& ids) {
  ::alarm(kAllTime);
  std::string lines;
  const auto say = [&lines](pid_t id, const char* what, const std::function<std::string()>& attempt) {
    const std::string words = words_of(attempt);
    lines += std::to_string(id) + " " + what + " " + words.substr(0, words.find_first_of(" :")) + "\n";
  };
  for (const pid_t id : ids) {
    Task task(id, pool);
    task.set_timeout(Seconds(0.05));
    say(id, "info", [&] { return task.info(true).dump(); });
    say(id, "snapshot", [&] { return task.snapshot().dump(); });
    say(id, "peek", [&] { return task.stream("stdout").peek().data; });
    say(id, "stderr", [&] { return task.stream("stderr").peek(0, 1 << 20).data; });
    say(id, "data", [&] { return std::to_string(task.stream("data").peek_messages().size()); });
    say(id, "output", [&] { return std::to_string(task.output().chunks.size()); });
    say(id, "read", [&] { return task.stream("stdout").read().data; });
    say(id, "kill", [&] { return std::to_string(task.kill()); });
    say(id, "wait", [&] { return task.wait({.timeout = Seconds(0)}).fired; });
    say(id, "follow", [&] { return std::to_string(task.follow([](const Output&) { return true; })); });
  }
  return lines;
}

TEST_F(FilesHostile, G10_DeadTasksWithFilesOfEveryTypeAreReadOrNamed) {
  const std::vector<Hostile> all = make_all();
  const auto before = picture_of(path());
  std::set<std::string> unreadable;
  std::vector<pid_t> ids;
  for (const Hostile& one : all) {
    ids.push_back(one.id);
    if (is_unreadable(one)) unreadable.insert(std::to_string(one.id));
  }
  std::vector<SkippedEntry> skipped;
  const std::vector<Task> found = TaskPool(path()).search(Json::object(), &skipped);
  std::set<std::string> named;
  for (const SkippedEntry& entry : skipped)
    named.insert(entry.name);
  EXPECT_EQ(named, unreadable);
  EXPECT_EQ(found.size(), all.size() - unreadable.size());
  for (Task task : found)
    EXPECT_EQ(task.info()["status"]["state"], "lost");

  const e2e::ProgramResult asked = e2e::in_child([&] { return ask_everything(path(), ids); });
  EXPECT_EQ(asked.status, 0) << "something waited for ever; the last was " << asked.err;
  std::istringstream lines(asked.out);
  size_t count = 0;
  pid_t id = 0;
  for (std::string what, word; lines >> id >> what >> word; ++count) {
    const Hostile& one = all[static_cast<size_t>(id - kFirstId)];
    const std::string where = one.file + " is a " + name_of(one.entry) + ", " + what;
    if (unreadable.contains(std::to_string(id)) && (what == "info" || what == "snapshot")) {
      EXPECT_NE(word, "none") << where;
    }
    if (what == "kill") {
      EXPECT_TRUE(word == "lost" || word == "denied") << where << ": " << word;
    }
    if (!unreadable.contains(std::to_string(id)) && what == "snapshot") {
      EXPECT_EQ(word, "none") << where;
    }
  }
  EXPECT_EQ(count, all.size() * 10);
  EXPECT_EQ(picture_of(path()), before) << "asking changes nothing";
}

TEST_F(FilesHostile, G10_TheCommandLineListsWhatItCanAndNamesTheRest) {
  const std::vector<Hostile> all = make_all();
  const e2e::ProgramResult listed = bgtask({"--pool", path().string(), "ls", "-o", "json"});
  EXPECT_EQ(listed.status, 0) << listed.err;
  size_t unreadable = 0;
  for (const Hostile& one : all) {
    if (!is_unreadable(one)) continue;
    ++unreadable;
    EXPECT_NE(listed.err.find("skipped " + std::to_string(one.id) + ":"), std::string::npos)
        << one.file << " is a " << name_of(one.entry);
  }
  EXPECT_EQ(Json::parse(listed.out).size(), all.size() - unreadable);
  // Each verb on one entry of each kind must end in time and without a crash.
  for (const std::string verb : {"info", "logs", "read", "wait", "meta", "restart", "kill"}) {
    std::vector<std::string> words = {"--pool", path().string(), verb};
    for (const Hostile& one : all)
      words.push_back(std::to_string(one.id));
    if (verb == "info" || verb == "kill" || verb == "restart") {
      const e2e::ProgramResult result = bgtask(words, {.deadline = Milliseconds(30'000)});
      EXPECT_TRUE(result.status == 0 || result.status == 1 || result.status == 125)
          << verb << " " << result.status << result.err;
      continue;
    }
    for (size_t i = 0; i < all.size(); i += 7) {
      const e2e::ProgramResult result = bgtask({"--pool", path().string(), verb, std::to_string(all[i].id)},
                                               {.deadline = Milliseconds(30'000)});
      EXPECT_TRUE(result.status == 0 || result.status == 1 || result.status == 125)
          << verb << " where " << all[i].file << " is a " << name_of(all[i].entry) << ": " << result.status
          << result.err;
    }
  }
}

TEST_F(FilesHostile, G6_G10_GcRemovesWhatIsDeadAndLeavesWhatItCannotUnderstand) {
  const std::vector<Hostile> all = make_all();
  std::map<std::string, std::string> before = picture_of(path());
  const std::vector<pid_t> removed = TaskPool(path()).gc();
  const std::map<std::string, std::string> after = picture_of(path());
  for (const Hostile& one : all) {
    const std::string name = std::to_string(one.id);
    const std::string where = one.file + " is a " + name_of(one.entry);
    const bool gone = std::find(removed.begin(), removed.end(), one.id) != removed.end();
    if (is_unreadable(one)) {
      EXPECT_FALSE(gone) << where;
      for (const auto& [file, words] : before) {
        if (file.rfind(name, 0) != 0) continue;
        EXPECT_TRUE(after.contains(file) && after.at(file) == words) << file << " where " << where;
      }
    } else if (one.entry != Entry::kDirectory) {
      EXPECT_TRUE(gone) << where;
      EXPECT_EQ(after.count(name), 0u) << where;
    } else {
      EXPECT_FALSE(gone) << "what is not a task's is not removed: " << where;
    }
  }
  EXPECT_TRUE(std::filesystem::exists("/dev/zero"));
}

TEST_F(FilesHostile, G10_WhatSeemsAliveAndHasNoSocketIsGivenUp) {
  std::vector<pid_t> ids;
  std::vector<int> locks;
  for (const Entry entry : kEveryEntry) {
    const pid_t id = kFirstId + static_cast<pid_t>(ids.size());
    const std::filesystem::path directory = make_task(id, "socket", entry);
    locks.push_back(::open((directory / "lock").c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::flock(locks.back(), LOCK_EX), 0);
    ids.push_back(id);
  }
  for (const Task& task : TaskPool(path()).search(Json::object()))
    EXPECT_EQ(task.snapshot()["status"]["state"], "running") << task.pid();
  EXPECT_EQ(TaskPool(path()).search(Json::object()).size(), ids.size());
  const e2e::ProgramResult asked = e2e::in_child([&] { return ask_everything(path(), ids); });
  EXPECT_EQ(asked.status, 0);
  std::istringstream lines(asked.out);
  size_t kills = 0;
  pid_t id = 0;
  for (std::string what, word; lines >> id >> what >> word;) {
    if (what != "kill" && what != "info" && what != "wait") continue;
    EXPECT_TRUE(word == "unresponsive" || word == "denied") << id << what << word;
    ++kills;
  }
  EXPECT_EQ(kills, 3 * ids.size());
  EXPECT_EQ(TaskPool(path()).gc(), std::vector<pid_t>());
  for (const int lock : locks)
    ::close(lock);
}

/// Process that appends to a file and truncates it until it is killed.
pid_t start_changing(const std::filesystem::path& file) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::setresuid(kOwner, kOwner, kOwner) != 0) ::_exit(1);
  const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  const std::string spaces(1 << 16, ' ');
  constexpr int kRounds = 500;
  for (int i = 0;; ++i) {
    if (i % kRounds == kRounds - 1) {
      if (::ftruncate(fd, 0) != 0) ::_exit(2);
    } else if (::write(fd, spaces.data(), spaces.size()) < 0) {
      ::_exit(3);
    }
  }
}

TEST_F(FilesHostile, G10_FilesThatGrowAndShrinkWhileTheyAreReadDoNoHarm) {
  std::vector<pid_t> writers;
  std::vector<pid_t> ids;
  ::chmod(path().c_str(), 0711);
  for (const char* file : {"status", "stdout", "index", "data"}) {
    ids.push_back(kFirstId + static_cast<pid_t>(ids.size()));
    const std::filesystem::path directory = make_task(ids.back(), "", std::nullopt);
    ::chmod((directory / file).c_str(), 0644);
    writers.push_back(start_changing(directory / file));
  }
  const auto end = std::chrono::steady_clock::now() + Seconds(scaled(1.0, 20.0));
  int rounds = 0;
  while (std::chrono::steady_clock::now() < end || rounds == 0) {
    const e2e::ProgramResult asked = e2e::in_child([&] {
      TaskPool(path()).search(Json::object());
      return ask_everything(path(), ids);
    });
    ASSERT_EQ(asked.status, 0) << "after " << rounds << " rounds";
    ++rounds;
  }
  for (const pid_t writer : writers) {
    EXPECT_EQ(::waitpid(writer, nullptr, WNOHANG), 0) << "it changed the file to the end";
    ::kill(writer, SIGKILL);
    ::waitpid(writer, nullptr, 0);
  }
}

TEST_F(FilesHostile, G10_NamesAreShownHarmlessly) {
  const std::vector<std::string> names = {"new\nline",
                                          "\x1b]0;title\x07",
                                          "\x1b[2J\x1b[H",
                                          "tab\tand\rreturn",
                                          "no utf-8 \xff\xfe\xc3",
                                          "\xc2\x9b"
                                          "31m",
                                          "\xe2\x80\xae"
                                          "drow",
                                          std::string(255, 'n'),
                                          "00123",
                                          "-1",
                                          "+5",
                                          "1e3",
                                          "99999999999999999999",
                                          "4711 "};
  for (size_t i = 0; i < names.size(); ++i)
    make_entry(path() / names[i], kEveryEntry[i % std::size(kEveryEntry)], kOwner);
  std::vector<SkippedEntry> skipped;
  EXPECT_EQ(TaskPool(path()).search(Json::object(), &skipped).size(), 0u);
  EXPECT_EQ(skipped.size(), names.size());
  for (const std::string verb : {"ls", "info"}) {
    std::vector<std::string> words = {"--pool", path().string(), verb};
    if (verb == "info") words.push_back("--");
    if (verb == "info") words.insert(words.end(), names.begin(), names.end());
    const e2e::ProgramResult shown = bgtask(words);
    EXPECT_EQ(shown.status, verb == "ls" ? 0 : 125) << shown.err;
    EXPECT_EQ(std::count(shown.err.begin(), shown.err.end(), '\n'),
              static_cast<ptrdiff_t>(names.size() * (verb == "ls" ? 1 : 2)))
        << "a line each: " << shown.err;
    for (const std::string& text : {shown.out, shown.err}) {
      for (const char c : text)
        EXPECT_TRUE(c == '\n' || (c >= ' ' && c != 0x7f) || c < 0) << static_cast<int>(c);
      EXPECT_EQ(text.find('\x1b'), std::string::npos);
      EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos) << "an eight-bit escape";
      EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos) << "text turned around";
      EXPECT_EQ(text.find('\xff'), std::string::npos) << "bytes that are no text";
    }
  }
  EXPECT_EQ(TaskPool(path()).gc(), std::vector<pid_t>());
  EXPECT_EQ(e2e::names_in(path()).size(), names.size());
}

}  // namespace
}  // namespace bgtask::faults
