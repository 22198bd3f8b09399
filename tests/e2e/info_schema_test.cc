// docs/info.schema.json describes the info documents of the product, every member of them and no other.
#include <signal.h>

#include <fstream>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

class InfoSchemaTest : public E2eTest {
 protected:
  /// Both forms: the reply to `info` (or what readers make of a lost task) and the file.
  void keep(const Task& task) {
    std::ofstream out(documents(), std::ios::app);
    out << shown(task).dump() << '\n'
        << Json::parse(read_whole(directory_of(task) / "status")).dump() << '\n';
  }
  Json shown(const Task& task) const {
    return Json::parse(bgtask({"info", "-o", "json", std::to_string(task.pid())}).out);
  }
  std::filesystem::path documents() const { return base() / "documents"; }
  ProgramResult validate() const { return run_program({VALIDATE_INFO, INFO_SCHEMA, documents().string()}); }
};

TEST_F(InfoSchemaTest, AllowsTheDocumentsOfEveryState) {
  Task running = spawn({.exec = {"/bin/sleep", "100"}});
  keep(running);
  running.pause();
  keep(running);
  running.kill();
  wait_exit(running);
  keep(running);
  Task lost = spawn({.exec = {"/bin/sleep", "100"}});
  kill_supervisor(lost);
  keep(Task(lost.pid(), pool().path()));
  Task adopted = pool().adopt(lost.pid());
  keep(adopted);
  const ProgramResult result = validate();
  EXPECT_EQ(result.status, 0) << result.out << result.err;
}

TEST_F(InfoSchemaTest, AllowsTheDocumentsOfEveryOption) {
  Task full = spawn({.exec = {"/bin/sh", "-c", "echo out; echo err >&2; exec sleep 100", "\xff"},
                     .cwd = "/tmp",
                     .meta = {{"name", "web"}, {"nested", {{"list", {1, "x", nullptr}}}}},
                     .buffer = 4096,
                     .retain_output = 4096,
                     .overflow = Overflow::kBlock,
                     .rings = Rings::kMemory,
                     .lock_file = (base() / "lock").string()});
  keep(full);
  full.apply_meta({{"more", 1.5}});
  full.kill("USR1");
  wait_exit(full);
  full.restart();
  keep(full);
  const ProgramResult result = validate();
  EXPECT_EQ(result.status, 0) << result.out << result.err;
}

TEST_F(InfoSchemaTest, RefusesAMemberThatItDoesNotKnow) {
  Task task = spawn({.exec = {"/bin/true"}});
  wait_exit(task);
  Json document = shown(task);
  document["streams"]["stdout"]["of_tomorrow"] = 1;
  std::ofstream(documents()) << document.dump() << '\n';
  const ProgramResult result = validate();
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_NE(result.out.find("of_tomorrow"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace bgtask::e2e
