#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "protocol/taskdir/liveness.h"
#include "protocol/taskdir/snapshot.h"
#include "tests/client/support.h"

namespace bgtask::taskdir {
namespace {

namespace fs = std::filesystem;
using test::name_child;
using test::Sleeper;
using test::status_document;

class SnapshotTest : public test::PoolTest {
 protected:
  Result<Json> read(pid_t id, bool with_streams = true) {
    return read_snapshot(*open_task(pool(), id), with_streams);
  }
  std::string error(pid_t id) {
    const Result<Json> snapshot = read(id);
    return snapshot ? "" : std::string(word(snapshot.error().code));
  }
};

TEST_F(SnapshotTest, IsWhatWasPublishedWhileTheSupervisorLives) {
  make_task(10, status_document(10, nullptr, "exited"));
  make_rings(10, "");
  const io::UniqueFd held = hold_lock(10);
  EXPECT_EQ(read(10)->at("status").at("state"), "exited");
}

TEST_F(SnapshotTest, ALostTaskRunsIfItsChildDoes) {
  Sleeper child;
  Json status = status_document(10);
  name_child(status, child.pid());
  make_task(10, status);
  make_rings(10, "");
  EXPECT_EQ(read(10)->at("status").at("state"), "lost");
  EXPECT_EQ(read(10)->at("status").at("running"), true);
  child.kill();
  EXPECT_EQ(read(10)->at("status").at("running"), false);
  EXPECT_EQ(read(10)->at("status").at("state"), "lost");
}

TEST_F(SnapshotTest, PositionsComeFromTheRings) {
  make_task(10, status_document(10));
  make_rings(10, "hello world", "", 5);
  const Json streams = read(10)->at("streams");
  EXPECT_EQ(streams.at("stdout").at("limit"), 11);
  EXPECT_EQ(streams.at("stdout").at("consumed"), 5);
  EXPECT_EQ(streams.at("stdout").at("capacity"), 1 << 20);
  EXPECT_EQ(streams.at("stdout").at("error"), nullptr);
  EXPECT_EQ(streams.at("data").at("limit"), 3);
  EXPECT_EQ(streams.at("stdin").at("pending"), 0);
  EXPECT_EQ(read(10, false)->at("streams").at("stdout").at("limit"), 7) << "published";
}

TEST_F(SnapshotTest, PositionsOfMemoryRingsArePublished) {
  Json status = status_document(10);
  status["persistent"] = false;
  make_task(10, status);
  EXPECT_EQ(read(10)->at("streams").at("stdout").at("limit"), 7);
}

TEST_F(SnapshotTest, IsNotFoundBeforeTheStartAndDuringADelete) {
  make_task(10);
  EXPECT_EQ(error(10), "not_found");
  make_task(11, status_document(11));
  make_rings(11, "");
  fs::remove(task_path(11) / "stderr");
  EXPECT_EQ(error(11), "not_found");
  make_task(12, status_document(12));
  make_rings(12, "");
  fs::remove(task_path(12) / "lock");
  EXPECT_EQ(error(12), "not_found");
}

TEST_F(SnapshotTest, HostileStatusFilesAreNamedAtOnce) {
  const auto start = std::chrono::steady_clock::now();
  const auto task_with = [this](pid_t id, const std::string& status) {
    make_task(id);
    write_file(task_path(id) / "status", status);
  };
  task_with(10, std::string(1'000'000, '['));
  EXPECT_EQ(error(10), "too_deep");
  task_with(11, "{");
  EXPECT_EQ(error(11), "parse_error");
  task_with(12, "[]");
  EXPECT_EQ(error(12), "parse_error");
  task_with(13, "{}");
  fs::resize_file(task_path(13) / "status", 1ull << 40);
  EXPECT_EQ(error(13), "frame_too_large");
  make_task(14);
  fs::create_symlink("/etc/passwd", task_path(14) / "status");
  EXPECT_EQ(error(14), "denied");
  make_task(15);
  ASSERT_EQ(::mkfifo((task_path(15) / "status").c_str(), 0600), 0);
  EXPECT_EQ(error(15), "denied");
  task_with(16, "{}");
  ASSERT_EQ(::chown((task_path(16) / "status").c_str(), 1234, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(error(16), "denied");
  EXPECT_LT(test::seconds_since(start), 20);
}

TEST_F(SnapshotTest, HostileRingsLeaveThePublishedPositions) {
  make_task(10, status_document(10));
  make_rings(10, "hello");
  fs::remove(task_path(10) / "stdout");
  ASSERT_EQ(::mkfifo((task_path(10) / "stdout").c_str(), 0600), 0);
  EXPECT_EQ(read(10)->at("streams").at("stdout").at("limit"), 7);
  fs::remove(task_path(10) / "stdout");
  write_file(task_path(10) / "stdout", "garbage");
  EXPECT_EQ(read(10)->at("streams").at("stdout").at("limit"), 7);
  fs::remove(task_path(10) / "stdout");
  fs::create_symlink("/etc/passwd", task_path(10) / "stdout");
  EXPECT_EQ(read(10)->at("streams").at("stdout").at("limit"), 7);
}

TEST_F(SnapshotTest, DocumentsOfAnyShapeAreTaken) {
  make_task(10);
  make_rings(10, "hello");
  for (const char* text :
       {"{}", R"({"status": 5, "streams": []})", R"({"streams": {"stdout": 1}, "child_pid": []})"}) {
    write_file(task_path(10) / "status", text);
    const Result<Json> snapshot = read(10);
    ASSERT_TRUE(snapshot) << text;
    EXPECT_EQ(snapshot->at("status").at("state"), "lost");
    EXPECT_EQ(snapshot->at("streams").at("stdout").at("limit"), 5);
  }
}

}  // namespace
}  // namespace bgtask::taskdir
