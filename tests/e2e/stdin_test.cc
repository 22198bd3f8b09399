// Feeding a task.
#include <algorithm>
#include <thread>

#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

using StdinTest = E2eTest;

constexpr size_t kTenMebibytes = 10u << 20;

TEST_F(StdinTest, TenMebibytesThroughCatComeBackEqual) {
  Task task = spawn({.exec = {"cat"}, .buffer = 16u << 20});
  Stream in = task.stream("stdin");
  in.write_all(pattern(0, kTenMebibytes));
  in.close();
  EXPECT_EQ(wait_exit(task)["exit_code"], 0) << "cat ends at the end of its input";
  wait_eof(task);
  const ReadResult back = task.stream("stdout").read();
  EXPECT_EQ(back.data.size(), kTenMebibytes);
  EXPECT_TRUE(back.data == pattern(0, kTenMebibytes));
  const Json info = task.stream("stdin").info();
  EXPECT_EQ(info["written"], kTenMebibytes);
  EXPECT_EQ(info["pending"], 0);
  EXPECT_EQ(info["eof"], true);
}

TEST_F(StdinTest, WritingAndReadingInTurnsGoesThroughASmallBlockingRing) {
  Task task = spawn({.exec = {"cat"}, .buffer = 65'536, .overflow = Overflow::kBlock});
  const std::string all = pattern(0, kTenMebibytes);
  std::string back;
  size_t sent = 0;
  uint64_t cursor = 0;
  while (back.size() < all.size()) {
    if (sent < all.size()) {
      try {
        sent += task.stream("stdin").write(std::string_view(all).substr(sent, 200'000)).accepted;
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), "would_block") << error.what();
      }
      if (sent == all.size()) task.stream("stdin").close();
    }
    const WaitResult waited =
        task.wait({.for_events = {"output", "eof"}, .cursor = cursor, .timeout = Seconds(30)});
    ASSERT_NE(waited.fired, "timeout");
    cursor = waited.next;
    back += task.stream("stdout").read().data;
  }
  EXPECT_TRUE(back == all);
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
}

class StdinEncodingTest : public StdinTest, public testing::WithParamInterface<Encoding> {};

TEST_P(StdinEncodingTest, AllBytesArriveAndTheLimitIsOfDecodedBytes) {
  constexpr size_t kMaxWrite = 256 * 1024;
  Task task = awkward({"echo"}, {.buffer = 2u << 20});
  RawClient client(socket_of(task), GetParam());
  const std::string bytes = pattern(0, kMaxWrite);
  const Json reply = client.result("write", {{"stream", "stdin"}, {"data", bytes_value(bytes, GetParam())}});
  EXPECT_EQ(reply["accepted"], kMaxWrite);
  ASSERT_TRUE(wait_limit(task, "stdout", kMaxWrite));
  EXPECT_TRUE(task.stream("stdout").read().data == bytes);
  EXPECT_EQ(client.result("write", {{"stream", 0}, {"data", "grün\n"}})["accepted"], 6);
  EXPECT_EQ(client.result("write", {{"stream", 0}, {"data", {{"base64", "AP8="}}}})["accepted"], 2);
  ASSERT_TRUE(wait_limit(task, "stdout", kMaxWrite + 8));
  EXPECT_EQ(task.stream("stdout").read().data, std::string("grün\n\0\xff", 8));
  RawClient greedy(socket_of(task), GetParam());
  const Json refused = greedy.call(
      "write", {{"stream", "stdin"}, {"data", bytes_value(pattern(0, kMaxWrite + 1), GetParam())}});
  EXPECT_TRUE(error_word(refused) == "frame_too_large" || error_word(refused) == "bad_argument") << refused;
  EXPECT_EQ(task.stream("stdout").limit(), kMaxWrite + 8);
}

INSTANTIATE_TEST_SUITE_P(Encodings, StdinEncodingTest, testing::Values(Encoding::kJson, Encoding::kMsgpack),
                         [](const auto& test) { return encoding_name(test.param); });

TEST_P(StdinEncodingTest, AWriteThatFollowsIsTakenOnlyAfterOneThatWasTakenWhole) {
  Task task = awkward({"sleep"});
  RawClient client(socket_of(task), GetParam());
  auto write = [&](size_t size, bool follows) {
    return client.call("write",
                       {{"stream", "stdin"}, {"data", std::string(size, 'x')}, {"follows", follows}});
  };
  EXPECT_EQ(error_word(write(1, true)), "would_block") << "there is none before it";
  EXPECT_EQ(error_word(write(1, true)), "would_block") << "the one before it was refused";
  EXPECT_EQ(write(1, false)["result"]["accepted"], 1);
  EXPECT_EQ(write(1, true)["result"]["accepted"], 1);
  client.result("ping");
  EXPECT_EQ(error_word(write(1, true)), "would_block") << "the message before it was something else";
  EXPECT_EQ(write(1, false)["result"]["accepted"], 1);
  EXPECT_EQ(error_word(client.call("write", {{"stream", "stdin"}})), "bad_argument");
  EXPECT_EQ(error_word(write(1, true)), "would_block");
  RawClient other(socket_of(task), GetParam());
  EXPECT_EQ(write(1, false)["result"]["accepted"], 1);
  EXPECT_EQ(other.result("write", {{"stream", "stdin"}, {"data", "y"}})["accepted"], 1);
  EXPECT_EQ(write(1, true)["result"]["accepted"], 1) << "another client's writes come between";
  constexpr size_t kPiece = 200'000;
  Json last;
  do {
    last = write(kPiece, false)["result"];
    EXPECT_EQ(last["room"].get<uint64_t>(), (1u << 20) - last["pending"].get<uint64_t>());
  } while (last["accepted"] == kPiece);
  EXPECT_EQ(last["room"], 0);
  EXPECT_EQ(error_word(write(0, true)), "would_block") << "the one before was taken in part only";
  EXPECT_EQ(write(0, false)["result"]["accepted"], 0);
}

TEST_F(StdinTest, TwoWritersAtOnceLoseNothing) {
  Task task = spawn({.exec = {"cat"}, .buffer = 32u << 20});
  auto write = [&](char letter) {
    Task own(task.pid(), pool().path());
    own.stream("stdin").write_all(std::string(kTenMebibytes, letter));
  };
  std::thread other([&] { write('a'); });
  write('b');
  other.join();
  task.stream("stdin").close();
  wait_eof(task);
  const std::string back = task.stream("stdout").read().data;
  EXPECT_EQ(std::count(back.begin(), back.end(), 'a'), kTenMebibytes);
  EXPECT_EQ(std::count(back.begin(), back.end(), 'b'), kTenMebibytes);
}

TEST_F(StdinTest, ClosingGivesTheChildEofAndLaterWritesAreRefused) {
  Task task = awkward({"echo"});
  task.stream("stdin").write_all("last words");
  task.stream("stdin").close();
  EXPECT_EQ(error_of([&] { task.stream("stdin").write("more"); }).code(), "stdin_closed");
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.stream("stdout").read().data, "last words");
  EXPECT_EQ(task.stream("stderr").read().data, "eof after 10\n");
  EXPECT_EQ(error_of([&] { task.stream("stdin").write("more"); }).code(), "stdin_closed");
}

TEST_F(StdinTest, AChildThatClosesItsStdinIsNoticed) {
  Task task = awkward({"close-stdin"});
  ASSERT_TRUE(wait_limit(task, "stdout", 7));
  std::string code;
  EXPECT_TRUE(eventually([&] {
    try {
      task.stream("stdin").write("x");
    } catch (const Error& error) {
      code = error.code();
    }
    return !code.empty();
  }));
  EXPECT_EQ(code, "stdin_closed");
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
}

TEST_F(StdinTest, NullIsEmptyAndClosed) {
  Task task = awkward({"echo"}, {.stdin = StdinMode::kNull});
  EXPECT_EQ(error_of([&] { task.stream("stdin").write("x"); }).code(), "stdin_closed");
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.stream("stderr").read().data, "eof after 0\n");
}

TEST_F(StdinTest, TheQueueIsBoundedAndTakesWhatFits) {
  Task task = awkward({"sleep"});
  const std::string piece = pattern(0, 200'000);
  uint64_t accepted = 0;
  bool partly = false;
  std::string code;
  for (int i = 0; i < 100 && code.empty(); ++i) {
    try {
      const WriteResult result = task.stream("stdin").write(piece);
      EXPECT_GT(result.accepted, 0u);
      EXPECT_LE(result.pending, 1u << 20);
      partly = partly || result.accepted < piece.size();
      accepted += result.accepted;
    } catch (const Error& error) {
      code = error.code();
      EXPECT_TRUE(error.retryable());
    }
  }
  EXPECT_EQ(code, "would_block");
  EXPECT_TRUE(partly) << "a queue with room for part accepts that part";
  EXPECT_GE(accepted, 1u << 20);
  EXPECT_LE(accepted, 2u << 20) << "a full queue and a full pipe";
  EXPECT_EQ(task.stream("stdin").info()["pending"], 1u << 20);
}

/// Writes until nothing more is taken; how much was.
size_t fill(Task& task, const std::string& bytes) {
  size_t total = 0;
  try {
    for (;;)
      total += task.stream("stdin").write(std::string_view(bytes).substr(total, 100'000)).accepted;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "would_block") << error.what();
  }
  return total;
}

TEST_F(StdinTest, CloseWaitsForTheQueueUnlessImmediate) {
  const std::string bytes = pattern(0, 8u << 20);
  const auto start_paused = [this] {
    Task task = awkward({"echo"}, {.buffer = 8u << 20});
    task.pause();
    EXPECT_TRUE(eventually([&] { return process_state(child_of(task)) == 'T'; }));
    return task;
  };
  Task patient = start_paused();
  const size_t given = fill(patient, bytes);
  patient.stream("stdin").close();
  EXPECT_EQ(error_of([&] { patient.stream("stdin").write("x"); }).code(), "stdin_closed");
  patient.resume();
  wait_exit(patient);
  EXPECT_TRUE(patient.stream("stdout").read().data == bytes.substr(0, given));

  Task hasty = start_paused();
  const size_t vain = fill(hasty, bytes);
  hasty.stream("stdin").close(true);
  EXPECT_EQ(hasty.stream("stdin").info()["pending"], 0);
  hasty.resume();
  wait_exit(hasty);
  const std::string got = hasty.stream("stdout").read().data;
  EXPECT_LT(got.size(), vain) << "what was queued is dropped";
  EXPECT_TRUE(got == bytes.substr(0, got.size()));
}

TEST_F(StdinTest, TheCommandLineSendsTextAndInput) {
  const ProgramResult run = bgtask({"run", "-i", "--", AWKWARD_PROGRAM, "echo"});
  ASSERT_EQ(run.status, 0) << run.err;
  Task task(std::stoi(run.out), pool().path());
  const std::string pid = std::to_string(task.pid());
  EXPECT_EQ(bgtask({"send", pid}, {.input = pattern(0, 1'500'000)}).status, 0);
  ASSERT_TRUE(wait_limit(task, "stdout", 1'500'000));
  EXPECT_EQ(bgtask({"send", pid, "hello"}).status, 0);
  ASSERT_TRUE(wait_limit(task, "stdout", 1'500'005));
  EXPECT_EQ(task.stream("stdout").peek(1'500'000).data.substr(0, 5), "hello");
  Task deaf(std::stoi(bgtask({"run", "--", AWKWARD_PROGRAM, "sleep"}).out), pool().path());
  EXPECT_EQ(bgtask({"send", std::to_string(deaf.pid()), "hello"}).status, 125)
      << "without -i stdin is /dev/null";
}

}  // namespace
}  // namespace bgtask::e2e
