// Pools that another user could have prepared or can change are refused, and the error names the path.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/files_fixture.h"

namespace bgtask::faults {
namespace {

struct UnsafePool {
  std::string name;
  std::function<void(const std::filesystem::path&)> make;
  std::string reason;
  uid_t caller = 0;
};

std::function<void(const std::filesystem::path&)> directory(mode_t mode, uid_t owner = 0) {
  return [=](const std::filesystem::path& path) {
    ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
    ASSERT_EQ(::chown(path.c_str(), owner, owner), 0);
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  };
}

std::vector<UnsafePool> unsafe_pools() {
  constexpr char kWritable[] = "can be written by its group or by others";
  constexpr char kNoDirectory[] = "is not a directory";
  std::vector<UnsafePool> pools = {
      {"group-writable", directory(0770), kWritable},
      {"others-writable", directory(0702), kWritable},
      {"sticky", directory(01777), kWritable},  // allowed only on request
      {"setgid-sticky", directory(03770), kWritable},
      {"foreign-writable", directory(0777, kStranger), kWritable},
      {"foreign", directory(0755, kStranger), "belongs to user 54321", kOwner},
      {"own-writable", directory(0770, kOwner), kWritable, kOwner},
      {"link", [](const auto& path) { ASSERT_EQ(::symlink("pool", path.c_str()), 0); }, "is a symbolic link"},
      {"slash-link/", [](const auto& path) { ASSERT_EQ(::symlink("pool", path.parent_path().c_str()), 0); },
       "is a symbolic link"},
      {"dot-link/.", [](const auto& path) { ASSERT_EQ(::symlink("pool", path.parent_path().c_str()), 0); },
       "is a symbolic link"},
      {"dangling-link", [](const auto& path) { ASSERT_EQ(::symlink("nothing", path.c_str()), 0); },
       "is a symbolic link"},
  };
  for (const Entry entry : {Entry::kFifo, Entry::kSocket, Entry::kZeroDevice, Entry::kEmpty}) {
    pools.push_back({std::string("a-") + name_of(entry).substr(0, 4),
                     [entry](const auto& path) { make_entry(path, entry); }, kNoDirectory});
  }
  return pools;
}

class FilesPool : public FilesTest {
 protected:
  std::filesystem::path make(const UnsafePool& unsafe) {
    unsafe.make(base() / unsafe.name);
    return base() / unsafe.name;
  }
  /// The path as errors print it, without what a link would lead to.
  std::string shown(const UnsafePool& unsafe) const {
    return (base() / unsafe.name.substr(0, unsafe.name.find('/'))).string();
  }
  void expect_refusal(const UnsafePool& unsafe, const std::string& what, const std::string& words) const {
    EXPECT_EQ(words.rfind("unsafe_pool ", 0), 0u) << what << " in " << unsafe.name << ": " << words;
    EXPECT_NE(words.find("pool " + shown(unsafe) + " "), std::string::npos) << what << ": " << words;
    EXPECT_NE(words.find(unsafe.reason), std::string::npos) << what << ": " << words;
  }
};

TEST_F(FilesPool, G10_G11_TheLibraryRefusesAPoolThatSomebodyElseCanChange) {
  for (const UnsafePool& unsafe : unsafe_pools()) {
    const std::filesystem::path path = make(unsafe);
    PoolOptions options = public_options();
    const auto refused = [&](const std::string& what, const std::function<std::string()>& attempt) {
      expect_refusal(unsafe, what, told(unsafe.caller, attempt));
    };
    refused("spawn", [&] { return std::to_string(TaskPool(path, options).spawn({.cmd = "true"}).pid()); });
    refused("search", [&] { return std::to_string(TaskPool(path).search(Json::object()).size()); });
    refused("gc", [&] { return std::to_string(TaskPool(path).gc().size()); });
    refused("adopt", [&] { return std::to_string(TaskPool(path, options).adopt(1).pid()); });
    refused("task", [&] { return Task(bystander().pid(), path).info().dump(); });
    refused("peek", [&] { return Task(bystander().pid(), path).stream(1).peek().data; });
    options.mkdir_if_missing = MkdirIfMissing{};
    refused("making it", [&] { return TaskPool(path, options).path().string(); });
    refused("default pool", [&] {
      ::setenv("BGTASK_POOL", path.c_str(), 1);
      return TaskPool::default_pool().path().string();
    });
    if (S_ISDIR(mode_of(path)) && path.string().find("link") == std::string::npos) {
      EXPECT_EQ(e2e::names_in(path), std::vector<std::string>()) << unsafe.name;
    }
  }
  EXPECT_FALSE(std::filesystem::exists(base() / "nothing")) << "no directory is made through a link";
}

TEST_F(FilesPool, G10_G11_TheCommandLineRefusesAPoolThatSomebodyElseCanChange) {
  const std::vector<std::vector<std::string>> verbs = {
      {"run", "true"},    {"ls"},         {"info", "1"},  {"meta", "1"},   {"logs", "1"},    {"read", "1"},
      {"send", "1", "x"}, {"kill", "1"},  {"pause", "1"}, {"resume", "1"}, {"restart", "1"}, {"delete", "1"},
      {"wait", "1"},      {"adopt", "1"}, {"gc"},         {"kill", "-a"},  {"delete", "-a"}};
  for (const UnsafePool& unsafe : unsafe_pools()) {
    if (unsafe.caller != 0) continue;
    const std::filesystem::path path = make(unsafe);
    for (std::vector<std::string> verb : verbs) {
      const std::string name = verb[0];
      verb.insert(verb.begin(), {"--pool", path.string()});
      const e2e::ProgramResult result = bgtask(verb);
      EXPECT_EQ(result.status, 125) << name << " in " << unsafe.name;
      EXPECT_EQ(result.out, "") << name << " in " << unsafe.name;
      expect_refusal(unsafe, name, "unsafe_pool " + result.err);
    }
  }
}

TEST_F(FilesPool, G10_APoolThatBecomesWritableIsRefusedUntilItIsSafeAgain) {
  Task task = awkward({"puppet"});
  ASSERT_EQ(::chmod(pool().path().c_str(), 0777), 0);
  EXPECT_EQ(e2e::error_of([&] { TaskPool(pool().path()); }).code(), "unsafe_pool");
  EXPECT_EQ(e2e::error_of([&] { Task(task.pid(), pool().path()).info(); }).code(), "unsafe_pool");
  EXPECT_EQ(bgtask({"ls"}).status, 125);
  ASSERT_EQ(::chmod(pool().path().c_str(), 0700), 0);
  EXPECT_EQ(Task(task.pid(), pool().path()).info()["status"]["state"], "running");
  task.remove();
}

TEST_F(FilesPool, G10_AnOpenPoolIsNotRedirectedByWhatTakesItsName) {
  const TaskPool held = pool();
  std::filesystem::rename(pool().path(), base() / "moved");
  for (const bool link : {false, true}) {
    if (link) {
      ASSERT_EQ(::symlink("/tmp", pool().path().c_str()), 0);
    } else {
      directory(0755, kStranger)(pool().path());
    }
    const Task task = held.spawn({.exec = {"/bin/sleep", "1000"}});
    EXPECT_TRUE(std::filesystem::exists(base() / "moved" / std::to_string(task.pid()) / "socket"));
    EXPECT_EQ(held.search({{"pid", task.pid()}}).size(), 1u);
    EXPECT_EQ(held.task(task.pid()).value().info()["status"]["state"], "running");
    held.task(task.pid()).value().remove();
    if (!link) {
      EXPECT_EQ(e2e::names_in(pool().path()), std::vector<std::string>());
    }
    std::filesystem::remove(pool().path());
  }
  std::filesystem::rename(base() / "moved", pool().path());
}

}  // namespace
}  // namespace bgtask::faults
