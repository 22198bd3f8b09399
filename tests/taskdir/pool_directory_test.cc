#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "protocol/taskdir/pool_directory.h"
#include "tests/client/support.h"

namespace bgtask::taskdir {
namespace {

namespace fs = std::filesystem;
using test::in_child;
using test::kNobody;
using test::name_child;
using test::Sleeper;
using test::status_document;

class OpenPool : public test::PoolTest {
 protected:
  std::string error(const fs::path& path) {
    const Result<PoolDirectory> opened = open_pool(path);
    return opened ? "" : std::string(word(opened.error().code));
  }
  void mode(mode_t mode) { ASSERT_EQ(::chmod(path().c_str(), mode), 0); }
};

TEST_F(OpenPool, OpensWhatIsOnesOwn) {
  const Result<PoolDirectory> opened = open_pool(path());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->path, path());
  EXPECT_EQ(opened->owner, ::geteuid());
}

TEST_F(OpenPool, TakesSymlinkedParentsButNoSymlinkedPool) {
  fs::create_directory(path() / "real");
  fs::create_directory(path() / "real/pool");
  fs::create_directory_symlink("real", path() / "parent");
  fs::create_directory_symlink("real/pool", path() / "pool");
  EXPECT_EQ(error(path() / "parent/pool"), "");
  EXPECT_EQ(error(path() / "pool"), "unsafe_pool");
  EXPECT_EQ(error((path() / "pool").string() + "/"), "unsafe_pool");
  EXPECT_EQ(error((path() / "pool").string() + "/./"), "unsafe_pool");
}

TEST_F(OpenPool, TakesTrailingSlashesAndRelativePaths) {
  const fs::path before = fs::current_path();
  EXPECT_EQ(error(path().string() + "//"), "");
  fs::current_path(path().parent_path());
  EXPECT_EQ(error(path().filename()), "");
  EXPECT_EQ(error(path().filename().string() + "/"), "");
  const Result<PoolDirectory> opened = open_pool(path().filename());
  fs::current_path(path());
  EXPECT_EQ(error("."), "");
  fs::current_path(before);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->path, path());
}

TEST_F(OpenPool, NamesWhatIsWrong) {
  write_file(path() / "file", "");
  EXPECT_EQ(error(path() / "none"), "not_found");
  EXPECT_EQ(error(path() / "file"), "unsafe_pool");
  EXPECT_EQ(error(path() / "file/pool"), "not_found");
  EXPECT_EQ(error(""), "bad_argument");
  EXPECT_EQ(error("/" + std::string(5000, 'x')), "path_too_long");
}

TEST_F(OpenPool, RefusesOneThatOthersMayWrite) {
  for (const mode_t unsafe : {0720, 0702, 0777, 01777}) {
    mode(unsafe);
    EXPECT_EQ(error(path()), "unsafe_pool") << std::oct << unsafe;
  }
  mode(0755);
  EXPECT_EQ(error(path()), "");
}

TEST_F(OpenPool, RootMayOpenAnybodysOthersOnlyTheirOwnAndRoots) {
  ASSERT_EQ(::chown(path().c_str(), 1234, static_cast<gid_t>(-1)), 0);
  mode(0755);
  const Result<PoolDirectory> by_root = open_pool(path());
  ASSERT_TRUE(by_root);
  EXPECT_EQ(by_root->owner, 1234u);
  const auto error_is = [this](std::string_view expected) { return error(path()) == expected ? 0 : 1; };
  EXPECT_EQ(in_child([&] { return error_is(""); }, 1234), 0);
  EXPECT_EQ(in_child([&] { return error_is("unsafe_pool"); }, kNobody), 0);
  mode(0700);
  EXPECT_EQ(in_child([&] { return error_is("denied"); }, kNobody), 0);
  ASSERT_EQ(::chown(path().c_str(), 0, static_cast<gid_t>(-1)), 0);
  mode(0755);
  EXPECT_EQ(in_child([&] { return error_is(""); }, kNobody), 0);
}

}  // namespace
}  // namespace bgtask::taskdir
