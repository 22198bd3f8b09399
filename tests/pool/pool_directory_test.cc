#include "pool/src/pool_directory.h"

#include <bgtask/task_pool.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/pool/support.h"

namespace bgtask {
namespace {

using test::become;
using test::in_child;
using test::kSomeUser;
using test::TempDir;

std::string facts(const std::filesystem::path& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return "missing";
  char text[64];
  std::snprintf(text, sizeof text, "%o %u:%u", st.st_mode, st.st_uid, st.st_gid);
  return text;
}

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

TEST(MakePool, ModeIsExactWhateverTheUmask) {
  for (mode_t umask : {0, 022, 077, 0777}) {
    for (mode_t mode : {0700, 0755, 0711}) {
      TempDir dir;
      char expected[64];
      std::snprintf(expected, sizeof expected, "%o 0:0", S_IFDIR | mode);
      std::string made = in_child([&] {
        ::umask(umask);
        TaskPool pool(dir.path() / "p", {.mkdir_if_missing = MkdirIfMissing{.mode = mode}});
        return facts(pool.path());
      });
      EXPECT_EQ(made, expected) << "umask " << umask;
    }
  }
}

TEST(MakePool, OwnerIsSet) {
  TempDir dir;
  TaskPool pool(dir.path() / "p",
                {.mkdir_if_missing = MkdirIfMissing{.mode = 0700, .uid = kSomeUser, .gid = kSomeUser}});
  EXPECT_EQ(facts(pool.path()), "40700 54321:54321");
}

TEST(MakePool, AnExistingOneIsLeftAsItIs) {
  TempDir dir;
  ASSERT_EQ(::mkdir((dir.path() / "p").c_str(), 0711), 0);
  TaskPool pool(dir.path() / "p", {.mkdir_if_missing = MkdirIfMissing{.mode = 0700, .uid = kSomeUser}});
  EXPECT_EQ(facts(pool.path()), "40711 0:0");
}

TEST(MakePool, OnlyTheLastComponentIsMade) {
  TempDir dir;
  EXPECT_EQ(error_of([&] { TaskPool(dir.path() / "a/b", {.mkdir_if_missing = MkdirIfMissing{}}); }),
            "not_found");
  EXPECT_EQ(facts(dir.path() / "a"), "missing");
}

TEST(MakePool, ATrailingSlashChangesNothing) {
  TempDir dir;
  TaskPool pool(dir.path() / "p/", {.mkdir_if_missing = MkdirIfMissing{}});
  EXPECT_EQ(pool.path(), dir.path() / "p");
  EXPECT_EQ(facts(dir.path() / "p"), "40700 0:0");
}

TEST(MakePool, ARelativePathBecomesAbsolute) {
  TempDir dir;
  EXPECT_EQ(in_child([&]() -> std::string {
              std::filesystem::current_path(dir.path());
              return TaskPool("p", {.mkdir_if_missing = MkdirIfMissing{}}).path();
            }),
            (dir.path() / "p").string());
}

TEST(MakePool, ASymlinkInItsPlaceIsNotTaken) {
  TempDir dir;
  std::filesystem::create_directory(dir.path() / "real");
  std::filesystem::create_symlink("real", dir.path() / "p");
  EXPECT_EQ(error_of([&] { TaskPool(dir.path() / "p", {.mkdir_if_missing = MkdirIfMissing{}}); }),
            "unsafe_pool");
  std::filesystem::create_symlink("nowhere", dir.path() / "dangling");
  EXPECT_EQ(error_of([&] { TaskPool(dir.path() / "dangling", {.mkdir_if_missing = MkdirIfMissing{}}); }),
            "unsafe_pool");
}

TEST(MakePool, NothingIsLeftWhereTheOwnerCannotBeSet) {
  TempDir dir;
  ASSERT_EQ(::chmod(dir.path().c_str(), 01777), 0);
  EXPECT_EQ(
      in_child([&] {
        become(kSomeUser);
        return error_of([&] { TaskPool(dir.path() / "p", {.mkdir_if_missing = MkdirIfMissing{.uid = 1}}); });
      }),
      "denied");
  EXPECT_EQ(facts(dir.path() / "p"), "missing");
}

TEST(OpenPool, UnsafeOnesAreRefused) {
  TempDir dir;
  EXPECT_EQ(error_of([&] { TaskPool(dir.path() / "none").spawn({.exec = {"/bin/true"}}); }), "not_found");
  ASSERT_EQ(::mkdir((dir.path() / "open").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((dir.path() / "open").c_str(), 0770), 0);
  EXPECT_EQ(error_of([&] { TaskPool(dir.path() / "open"); }), "unsafe_pool");
}

TEST(OpenPool, AMissingOneIsEmptyForReadersUntilItIsMade) {
  TempDir dir;
  const TaskPool pool(dir.path() / "later");
  EXPECT_EQ(pool.path(), dir.path() / "later");
  EXPECT_TRUE(pool.search(Json::object()).empty());
  EXPECT_TRUE(pool.search([](const Json&) { return true; }).empty());
  EXPECT_FALSE(pool.task(4711));
  EXPECT_TRUE(pool.gc().empty());
  EXPECT_EQ(error_of([&] { pool.adopt(4711); }), "not_found");
  ASSERT_EQ(::mkdir((dir.path() / "later").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir((dir.path() / "later/strange").c_str(), 0700), 0);
  std::vector<SkippedEntry> skipped;
  EXPECT_TRUE(pool.search(Json::object(), &skipped).empty());
  EXPECT_EQ(skipped.size(), 1u) << "it is looked for again";
}

TEST(OpenPool, ALinkIsRefusedNamingTheDirectoryItPointsAt) {
  TempDir dir;
  ASSERT_EQ(::mkdir((dir.path() / "real").c_str(), 0700), 0);
  std::filesystem::create_directory_symlink("real", dir.path() / "link");
  try {
    TaskPool pool(dir.path() / "link");
    FAIL() << "a link is no pool";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "unsafe_pool");
    EXPECT_NE(std::string(error.what()).find((dir.path() / "real").string()), std::string::npos)
        << error.what();
  }
}

TEST(DefaultPool, TheVariableNamesIt) {
  TempDir dir;
  EXPECT_EQ(in_child([&]() -> std::string {
              ::setenv("BGTASK_POOL", dir.path().c_str(), 1);
              return TaskPool::default_pool().path();
            }),
            dir.path().string());
}

TEST(DefaultPool, WhatTheVariableNamesIsNotMade) {
  TempDir dir;
  EXPECT_EQ(in_child([&] {
              ::setenv("BGTASK_POOL", (dir.path() / "p").c_str(), 1);
              return error_of([] { TaskPool::default_pool().spawn({.exec = {"/bin/true"}}); });
            }),
            "not_found");
  EXPECT_EQ(facts(dir.path() / "p"), "missing");
}

TEST(DefaultPool, WhatTheVariableNamesIsMadeOnRequest) {
  TempDir dir;
  EXPECT_EQ(in_child([&]() -> std::string {
              ::setenv("BGTASK_POOL", (dir.path() / "p").c_str(), 1);
              return TaskPool::default_pool({.mkdir_if_missing = MkdirIfMissing{}}).path();
            }),
            (dir.path() / "p").string());
}

TEST(DefaultPool, OfAUserIsInTheRuntimeDirectory) {
  TempDir dir;
  ASSERT_EQ(::chown(dir.path().c_str(), kSomeUser, kSomeUser), 0);
  EXPECT_EQ(in_child([&]() -> std::string {
              become(kSomeUser);
              ::unsetenv("BGTASK_POOL");
              ::setenv("XDG_RUNTIME_DIR", dir.path().c_str(), 1);
              std::filesystem::path made = TaskPool::default_pool().path();
              std::filesystem::path again = TaskPool::default_pool().path();
              return made == again ? made.string() : "two different ones";
            }),
            (dir.path() / "bgtask").string());
  EXPECT_EQ(facts(dir.path() / "bgtask"), "40700 54321:54321");
}

// A private /var/run, so that the machine's own is not touched.
std::string with_own_run(const std::function<std::string(const std::filesystem::path& run)>& body) {
  return in_child([&]() -> std::string {
    ::unsetenv("BGTASK_POOL");
    ::unsetenv("XDG_RUNTIME_DIR");
    std::filesystem::path run = std::filesystem::canonical("/var/run");
    if (::unshare(CLONE_NEWNS) != 0) return "unshare failed: the tests need root";
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return "making mounts private failed";
    if (::mount("none", run.c_str(), "tmpfs", 0, "mode=0755") != 0) return "mounting a tmpfs failed";
    return body(run);
  });
}

TEST(DefaultPool, OfRootIsMadeInVarRun) {
  EXPECT_EQ(with_own_run([](const auto& run) {
              ::umask(077);
              std::filesystem::path path = TaskPool::default_pool().path();
              return path.string() + " " + facts(run / "bgtask");
            }),
            "/var/run/bgtask 40755 0:0");
}

TEST(DefaultPool, OfAUserMayBeMadeByRoot) {
  EXPECT_EQ(with_own_run([](const auto& run) {
              TaskPool::default_pool();
              std::filesystem::create_directory(run / "bgtask/54321");
              if (::chown((run / "bgtask/54321").c_str(), kSomeUser, kSomeUser) != 0)
                return std::string("chown");
              if (::chmod((run / "bgtask/54321").c_str(), 0700) != 0) return std::string("chmod");
              std::vector<SkippedEntry> skipped;
              TaskPool::default_pool().search(Json::object(), &skipped);
              if (!skipped.empty()) return "root stumbles over it: " + std::string(skipped[0].reason.what());
              become(kSomeUser);
              return TaskPool::default_pool().path().string();
            }),
            "/var/run/bgtask/54321");
}

TEST(DefaultPool, AUserWithoutOneIsToldHowToGetOne) {
  EXPECT_EQ(with_own_run([](const auto&) -> std::string {
              become(kSomeUser);
              try {
                TaskPool::default_pool().spawn({.exec = {"/bin/true"}});
              } catch (const Error& error) {
                bool tells = std::string(error.what()).find("XDG_RUNTIME_DIR") != std::string::npos;
                return error.code() + (tells ? "" : " without a remedy");
              }
              return "there is one";
            }),
            "not_found");
}

TEST(TaskPool, SocketPathIsInTheTasksDirectory) {
  TempDir dir;
  EXPECT_EQ(TaskPool(dir.path()).socket_path(4711), dir.path() / "4711/socket");
}

}  // namespace
}  // namespace bgtask
