#include "protocol/taskdir/default_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "protocol/taskdir/pool_directory.h"
#include "tests/client/support.h"

namespace bgtask::taskdir {
namespace {

using test::in_child;

constexpr uid_t kUser = 4321;

struct Surroundings {
  const char* pool;     // $BGTASK_POOL; null: unset
  const char* runtime;  // $XDG_RUNTIME_DIR; null: unset
  uid_t user;
};

// A process of its own with these variables and this user.
template <class Body>
int with(const Surroundings& surroundings, Body body) {
  return in_child(
      [&] {
        ::unsetenv("BGTASK_POOL");
        ::unsetenv("XDG_RUNTIME_DIR");
        if (surroundings.pool != nullptr) ::setenv("BGTASK_POOL", surroundings.pool, 1);
        if (surroundings.runtime != nullptr) ::setenv("XDG_RUNTIME_DIR", surroundings.runtime, 1);
        return body() ? 0 : 1;
      },
      surroundings.user);
}

TEST(DefaultPool, FollowsTheEnvironmentThenTheUser) {
  struct Case {
    Surroundings surroundings;
    const char* path;
    std::optional<mode_t> make_with;
    bool has_remedy;
  };
  const Case cases[] = {
      {{"/some/pool", "/run/user/7", 0}, "/some/pool", {}, false},
      {{"/some/pool", nullptr, kUser}, "/some/pool", {}, false},
      {{"", nullptr, 0}, "/var/run/bgtask", 0755, false},
      {{nullptr, "/run/user/7", 0}, "/var/run/bgtask", 0755, false},
      {{nullptr, "/run/user/7", kUser}, "/run/user/7/bgtask", 0700, false},
      {{nullptr, "", kUser}, "/var/run/bgtask/4321", {}, true},
      {{nullptr, "relative", kUser}, "/var/run/bgtask/4321", {}, true},
      {{nullptr, nullptr, kUser}, "/var/run/bgtask/4321", {}, true},
  };
  for (const Case& one : cases) {
    const int failed = with(one.surroundings, [&] {
      const DefaultPool found = default_pool();
      return found.path == one.path && found.make_with == one.make_with &&
             !found.remedy.empty() == one.has_remedy;
    });
    EXPECT_EQ(failed, 0) << one.path;
  }
}

// A /run of the test's own, as logind leaves it.
int with_private_run(uid_t owner, mode_t mode, bool (*body)()) {
  return in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return 2;
    if (::mount("none", "/run", "tmpfs", 0, "mode=0755") != 0) return 2;
    if (::mkdir("/run/user", 0755) != 0 || ::mkdir("/run/user/4321", 0700) != 0) return 2;
    if (::chmod("/run/user/4321", mode) != 0 || ::chown("/run/user/4321", owner, owner) != 0) return 2;
    return with({nullptr, nullptr, kUser}, body);
  });
}

TEST(DefaultPool, TriesTheRuntimeDirectoryOfTheUserWithoutTheVariable) {
  const auto used = [] {
    const DefaultPool found = default_pool();
    return found.path == "/run/user/4321/bgtask" && found.make_with == 0700u && found.remedy.empty();
  };
  const auto passed_over = [] { return default_pool().path == "/var/run/bgtask/4321"; };
  EXPECT_EQ(with_private_run(kUser, 0700, used), 0);
  EXPECT_EQ(with_private_run(kUser + 1, 0755, passed_over), 0) << "another user's";
  EXPECT_EQ(with_private_run(kUser, 0777, passed_over), 0) << "anybody could have put something there";
}

TEST(DefaultPool, PathIsAbsoluteAndAMissingOneNamesTheRemedy) {
  EXPECT_EQ(with({"/some/pool/", nullptr, 0}, [] { return *default_pool_path() == "/some/pool"; }), 0);
  const int failed = with({nullptr, nullptr, kUser}, [] {
    const auto path = default_pool_path();
    return !path && path.error().code == ErrorCode::kNotFound &&
           path.error().message.find("BGTASK_POOL") != std::string::npos;
  });
  EXPECT_EQ(failed, 0);
}

}  // namespace
}  // namespace bgtask::taskdir
