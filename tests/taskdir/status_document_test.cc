#include "protocol/taskdir/status_document.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "protocol/taskdir/keys.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::taskdir {
namespace {

// Every member has another value than its default.
StatusDocument full_document() {
  StatusDocument full;
  full.pid = 4711;
  full.uid = 1000;
  full.version = "0.2.0";
  full.protocol = 2;
  full.persistent = false;
  full.on_disk = true;
  full.command = {"/bin/sh", "-c", "\xff\xfe"};
  full.cwd = "/srv/\xff";
  full.meta = {{"name", "web"}, {"nested", {{"a", {1, 2}}}}};
  full.child_pid = 4712;
  full.former_pids = {7, 8};
  full.in_control_group = true;
  full.memory_limit = 1 << 30;
  full.cpu_limit = 0.5;
  full.oom_kills = 1;
  full.timeout = 60.5;
  full.stop_signal = SIGINT;
  full.stop_grace = 10;
  full.shared_with = "staff";
  full.actions = {{1700000000.5, 1000, 99, "KILL to the group", 3}};
  full.runs = 2;
  full.started_at = 1700000000.25;
  full.ended_at = 1700000001.5;
  full.status = {State::kExited, false, true, 3, SIGKILL, true, "out_of_memory"};
  full.usage = Usage{0.25, 0.5, 1 << 20};
  full.in = {1, 2, true};
  full.out = {{1, 2, 3, 4, true, EIO, true}, 4096};
  full.err = {{5, 6, 7, 8, true, ENOSPC, true}, 8192};
  full.data = {{9, 10, 11, 12, true, EMSGSIZE, true}, 12288};
  full.live = StatusDocument::Live{2, 5};
  full.supervision = Supervision{"boot", 1, 2, "/sys/fs/cgroup/x", 3, 4};
  return full;
}

TEST(StatusDocument, EveryMemberSurvivesEncodingAndDecoding) {
  const StatusDocument full = full_document();
  EXPECT_EQ(decode(encode(full_document())), full);
  const auto text = wire::decode_json(wire::encode_json(encode(full_document())), wire::reply_limits());
  ASSERT_TRUE(text);
  EXPECT_EQ(decode(*text), full) << "also as text";
  EXPECT_EQ(decode(encode(StatusDocument())), StatusDocument());
}

TEST(StatusDocument, EncodesAsReadersOfTheFirstReleaseExpect) {
  StatusDocument running;
  running.pid = 1;
  running.command = {"/bin/true"};
  running.cwd = "/";
  running.version = "0.2.0";
  running.status.state = State::kRunning;
  running.status.running = true;
  EXPECT_EQ(
      wire::encode_json(encode(std::move(running))),
      R"({"actions":[],"child_pid":null,"command":["/bin/true"],"containment":"sub-reaper","cpu_limit":null,)"
      R"("cwd":"/","ended_at":null,"former_pids":[],"memory_limit":null,"meta":{},"on_disk":false,)"
      R"("oom_kills":null,"persistent":true,"pid":1,"protocol":1,"runs":1,"rusage":null,"shared_with":null,)"
      R"("started_at":0.0,"status":{"core_dumped":false,"exit_code":null,"paused":false,"reason":null,)"
      R"("running":true,"signal":null,"state":"running"},"streams":{"data":{"capacity":0,"consumed":0,)"
      R"("eof":false,"error":null,"gap":false,"limit":0,"lost":0,"start":0},"stderr":{"capacity":0,"consumed":0,)"
      R"("eof":false,"error":null,"gap":false,"limit":0,"lost":0,"start":0},"stdin":{"eof":false,"pending":0,)"
      R"("written":0},"stdout":{"capacity":0,"consumed":0,"eof":false,"error":null,"gap":false,"limit":0,"lost":0,)"
      R"("start":0}},"uid":0,"version":"0.2.0"})");
}

TEST(StatusDocument, WhatOnlyALivingSupervisorKnowsIsNotInTheFile) {
  StatusDocument published = full_document();
  published.live.reset();
  const Json file = encode(std::move(published));
  EXPECT_FALSE(file.contains(key::kClients));
  EXPECT_FALSE(file.contains(key::kDescendants));
  EXPECT_TRUE(file.contains(key::kSupervision));
  StatusDocument live = full_document();
  live.live = StatusDocument::Live{1, std::nullopt};
  live.supervision.reset();
  const Json reply = encode(std::move(live));
  EXPECT_TRUE(reply.at(key::kDescendants).is_null()) << "unknown, but present";
  EXPECT_FALSE(reply.contains(key::kSupervision));
}

// Each value in the place of each member: nothing throws, and what is sound elsewhere stays.
TEST(StatusDocument, DecodesHostileDocuments) {
  const Json values[] = {nullptr,
                         true,
                         -1,
                         1ull << 63,
                         1e300,
                         "",
                         "x",
                         Json::array(),
                         {1, "x", nullptr},
                         Json::object(),
                         {{"stdout", 5}},
                         Json::binary({0xff})};
  for (const Json& value : values) {
    static_cast<void>(decode(value));
    const Json sound = encode(full_document());
    for (const auto& [member, unused] : sound.items()) {
      Json hostile = sound;
      hostile[member] = value;
      const StatusDocument decoded = decode(hostile);
      EXPECT_EQ(decoded.version == "0.2.0", member != key::kVersion) << member << value;
      EXPECT_EQ(decode(encode(StatusDocument(decoded))), decoded) << member << value;
      if (!sound.at(member).is_object()) continue;
      for (const auto& [part, ignored] : sound.at(member).items()) {
        hostile = sound;
        hostile[member][part] = value;
        static_cast<void>(decode(hostile));
      }
    }
  }
}

TEST(StatusDocument, SingleMembersAreEnough) {
  const StatusDocument decoded = decode({{key::kStatus, {{"state", "paused"}, {"running", true}}}});
  EXPECT_EQ(decoded.status.state, State::kPaused);
  EXPECT_EQ(decoded.status.running, true);
  EXPECT_EQ(decoded.pid, 0);
  EXPECT_FALSE(decoded.live);
}

TEST(StatusDocument, NeverExceedsAMebibyte) {
  struct Case {
    const char* name;
    std::vector<std::string> command;
    bool cut;
  };
  const Case cases[] = {{"short", {"/bin/true"}, false},
                        {"many short ones", std::vector<std::string>(100'000, "xxxxxxxx"), true},
                        {"controls", std::vector<std::string>(8, std::string(128 * 1024, '\x01')), true},
                        {"bytes", std::vector<std::string>(8, std::string(128 * 1024, '\xff')), true},
                        {"just fits", std::vector<std::string>(4, std::string(128 * 1024 - 3, 'x')), false}};
  for (const Case& one : cases) {
    StatusDocument document = full_document();
    document.command = one.command;
    document.meta = {{"large", std::string(wire::kMaxMeta - 20, 'm')}};
    const Json encoded = encode(std::move(document));
    EXPECT_LE(wire::encode_json(encoded).size(), kMaxStatusFile) << one.name;
    EXPECT_EQ(encoded.contains("command_cut"), one.cut) << one.name;
    EXPECT_EQ(encoded.at(key::kCommand).size() < one.command.size(), one.cut) << one.name;
  }
}

TEST(StatusDocument, RenamingKeepsMembersOfANewerVersion) {
  Json document = encode(full_document());
  document["of_tomorrow"] = {1, 2};
  rename_task(document, 5000, {7, 8, 4711});
  EXPECT_EQ(document.at("of_tomorrow"), (Json{1, 2}));
  const StatusDocument decoded = decode(document);
  EXPECT_EQ(decoded.pid, 5000);
  EXPECT_EQ(decoded.former_pids, (std::vector<pid_t>{7, 8, 4711}));
}

TEST(Positions, SurviveEncodingAndDecoding) {
  const ring::Positions positions{1, 2, 3, 4, true, EIO, true};
  const Json part = stream_part(positions, 4096);
  EXPECT_EQ(part, (Json{{"start", 1},
                        {"consumed", 2},
                        {"limit", 3},
                        {"lost", 4},
                        {"eof", true},
                        {"error", "EIO"},
                        {"gap", true},
                        {"capacity", 4096}}));
  EXPECT_EQ(positions_in(part), positions);
  EXPECT_EQ(positions_in(stream_part({}, 0)), ring::Positions());
  EXPECT_TRUE(stream_part({}, 0).at("error").is_null());
  EXPECT_EQ(positions_in({{"error", "ENOSUCHERROR"}, {"start", "x"}, {"eof", 1}}), ring::Positions());
}

TEST(RunStatus, LostIsDerivedByReaders) {
  RunStatus published;
  published.state = State::kRunning;
  Json status = encode(published);
  mark_lost(status, std::nullopt);
  EXPECT_EQ(decode_run_status(status).state, State::kLost);
  EXPECT_EQ(decode_run_status(status).running, std::nullopt);
  mark_lost(status, true);
  EXPECT_EQ(decode_run_status(status).running, true);
  for (Json any : {Json(), Json(5), Json::array(), Json{{"state", 1}, {"running", "x"}, {"kept", 1}}}) {
    const bool kept = any.is_object();
    make_sound_status(any);
    EXPECT_EQ(any.at("state"), "");
    EXPECT_EQ(any.at("running"), false);
    EXPECT_EQ(any.contains("kept"), kept);
  }
}

}  // namespace
}  // namespace bgtask::taskdir
