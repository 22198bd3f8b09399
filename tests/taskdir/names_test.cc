#include "protocol/taskdir/names.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace bgtask::taskdir {
namespace {

TEST(Names, ADirectoryNameIsATaskIdIfItIsItsOnlySpelling) {
  const std::pair<const char*, std::optional<pid_t>> cases[] = {{"1", 1},
                                                                {"4711", 4711},
                                                                {"4194305", kFirstAsideId},
                                                                {"2147483647", 2147483647},
                                                                {"0", {}},
                                                                {"-5", {}},
                                                                {"+5", {}},
                                                                {"007", {}},
                                                                {"", {}},
                                                                {"1x", {}},
                                                                {" 1", {}},
                                                                {"2147483648", {}},
                                                                {".tmp-1", {}},
                                                                {"socket", {}}};
  for (const auto& [name, id] : cases)
    EXPECT_EQ(task_id(name), id) << name;
}

TEST(Names, TheUnpublishedDirectoryTellsHalfOfTheTokenOnly) {
  EXPECT_EQ(unpublished_name("0123456789abcdef"), ".tmp-01234567");
  EXPECT_TRUE(is_hidden(unpublished_name("")));
}

// Released clients and supervisors find each other by these names.
TEST(Names, AreThoseOfTheFirstRelease) {
  EXPECT_STREQ(kControlSocket, "socket");
  EXPECT_STREQ(kReadSocket, "read");
  EXPECT_STREQ(kLock, "lock");
  EXPECT_STREQ(kStatus, "status");
  EXPECT_STREQ(kLaunch, "launch");
  EXPECT_STREQ(kIndex, "index");
  EXPECT_STREQ(ring_name(ring::StreamId::kStdout), "stdout");
  EXPECT_STREQ(ring_name(ring::StreamId::kStderr), "stderr");
  EXPECT_STREQ(ring_name(ring::StreamId::kData), "data");
}

}  // namespace
}  // namespace bgtask::taskdir
