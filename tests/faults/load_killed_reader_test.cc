// A supervisor is killed between reading bytes from a pipe and counting them, or just before reading.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

class LoadKilledReader : public FaultTest {
 protected:
  /// Bytes waiting in the pipe of a process's stdout.
  static int waiting_in(pid_t child) {
    const int fd =
        ::open(("/proc/" + std::to_string(child) + "/fd/1").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int waiting = -1;
    EXPECT_EQ(::ioctl(fd, FIONREAD, &waiting), 0);
    ::close(fd);
    return waiting;
  }
  /// Whether a process has written this many bytes to any descriptor.
  static bool has_written(pid_t child, uint64_t bytes) {
    const std::string io = e2e::read_whole("/proc/" + std::to_string(child) + "/io");
    return std::strtoull(io.c_str() + io.find("wchar: ") + 7, nullptr, 10) >= bytes;
  }
  /// Stops the supervisor at the beginning or end of a read of output, and kills it there.
  void kill_in_read(const std::string& stop, uint64_t size, int left_in_pipe, uint64_t buffer) {
    SCOPED_TRACE(stop + " of a read, " + std::to_string(size) + " bytes, buffer " + std::to_string(buffer));
    const std::filesystem::path commands = make_fifo("commands");
    const TaskPool slow = traced({"-e", "inject=readv:" + stop + "=60000000"});
    Task task = slow.spawn({.exec = awkward_command({"puppet", commands.string()}), .buffer = buffer});
    const pid_t child = child_of(task);
    task.disconnect();
    const auto says = [&](const std::string& line) { e2e::write_whole(commands, line + "\n"); };
    says("pattern 0 " + std::to_string(size));
    ASSERT_TRUE(eventually([&] { return has_written(child, size) && waiting_in(child) == left_in_pipe; }))
        << waiting_in(child);
    ASSERT_EQ(task.stream("stdout").limit(), 0u) << "not counted";
    // Then the tracer: while it sleeps, the traced process does not end. It may have ended by itself.
    const auto tracer = static_cast<pid_t>(e2e::process_number(task.pid(), "TracerPid"));
    ASSERT_TRUE(e2e::send_signal(task.pid(), SIGKILL));
    e2e::send_signal(tracer, SIGKILL);
    ASSERT_TRUE(eventually([&] { return e2e::gone(task.pid()); }));
    Task adopted = pool().adopt(task.pid());
    ASSERT_TRUE(wait_limit(adopted, "stdout", size));
    says("pattern " + std::to_string(size) + " 500");
    ASSERT_TRUE(wait_limit(adopted, "stdout", size + 500));
    const ReadResult all = adopted.stream("stdout").peek(0);
    EXPECT_EQ(all.limit, size + 500) << "no byte is missing, none is there twice";
    EXPECT_TRUE(all.data == e2e::pattern(all.offset, all.data.size()));
    EXPECT_EQ(all.offset + all.data.size(), all.limit);
    EXPECT_EQ(all.lost, all.offset);
    uint64_t in_order = 0;
    for (const OutputChunk& chunk : adopted.output().chunks)
      in_order += chunk.data.size();
    EXPECT_EQ(in_order, all.data.size()) << "the index has them too";
    adopted.remove({.grace = Seconds(1)});
    std::filesystem::remove(commands);
  }
};

TEST_F(LoadKilledReader, G2_G7_WhatWasTakenFromThePipeIsNotLost) {
  for (const uint64_t size : {1, 15, 16, 17, 1'000, 4'096, 10'000})
    kill_in_read("delay_exit", size, 0, 65'536);
  // A small ring takes a quarter of itself at a time.
  kill_in_read("delay_exit", 3'000, 3'000 - 1'024, 4'096);
}

TEST_F(LoadKilledReader, G2_G7_WhatWasNotTakenIsNotCountedTwice) {
  for (const uint64_t size : {1, 16, 1'000, 10'000})
    kill_in_read("delay_enter", size, static_cast<int>(size), 65'536);
}

}  // namespace
}  // namespace bgtask::faults
