"""Output: taking it in, reading it back, following it, and writing to stdin."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from measure import Bench, Contender, Work
from output.crowded import many_writers
from output.intake import Intake, constant, present, scratch_file
from output.tasks import Tasks, Writer

MIB = 1 << 20


def works(bench: Bench) -> list[Work]:
    return [*blocks(bench), *lines(bench), *many_writers(bench), *reading(bench), *logs(bench), latency(bench),
            followers(bench), feeding(bench)]


def blocks(bench: Bench) -> list[Work]:
    intake = Intake(bench, 64 * 1024, bench.scaled(64, 1024) * MIB)
    slow = 128 * MIB  # for those that would take minutes
    takers = present([
        intake.floor(), intake.ours(), intake.peer("nq", note="straight to a file"),
        intake.peer("task_spooler", note="straight to a file"), intake.peer("supervisord"),
        intake.peer("conmon", label="conmon, no log", with_log=False), intake.peer("conmon", slow, "conmon"),
        intake.peer("pm2", slow), intake.peer("dtach", slow, note="a terminal"), intake.peer("tmux", slow // 2, note="a terminal")])
    measured = [taker for taker in takers if taker.kind != "peer" or taker.name == "supervisord"]
    return [
        Work("intake-blocks", "Taking in writes of 64 KiB, ring of 1 MiB", "GB/s", "higher", ">= 0.95",
             [taker.contender("rate") for taker in takers] + [constant("the original", 0.14)]),
        Work("intake-blocks-cpu", "The same: cpu of whoever takes it in", "ms/GB", "lower", "stated",
             [taker.contender("cost") for taker in measured], plot=False)]


def lines(bench: Bench) -> list[Work]:
    count = bench.scaled(100_000, 10_000_000)
    intake = Intake(bench, 100, count * 100)
    takers = present([intake.floor(), intake.ours(), intake.peer("supervisord"),
                      intake.peer("conmon", label="conmon, no log", with_log=False), intake.s6_log(), intake.peer("nq")])
    measured = [taker for taker in takers if taker.kind != "peer" or taker.name == "supervisord"]
    return [
        Work("intake-lines", f"{count:,} unbuffered lines of 100 bytes", "GB/s", "higher", ">= 1.0",
             [taker.contender("rate") for taker in takers]),
        Work("intake-lines-cpu", "The same: cpu of whoever takes them in, in that of the child", "share", "lower", "<= 0.25 share",
             [taker.contender("share") for taker in measured], plot=False)]


def reading(bench: Bench) -> list[Work]:
    size = bench.scaled(4, 100) * MIB
    times = bench.scaled(1, 5)
    file = scratch_file(bench, size)
    tasks = Tasks(bench)
    task: list[int] = []

    def ready() -> int:
        if not task:
            task.append(retaining(bench, tasks, size))
        return task[0]

    def copies(how: str):
        return lambda: int(bench.checked([bench.program("copies"), how, file, 0, size, times])) / 1e6

    def library(how: str):
        return lambda: int(bench.checked([bench.program("output_read_back"), tasks.pool, ready(), size, times, how])) / 1e6

    def consuming() -> float:
        own = Tasks(bench)
        try:
            pid = retaining(bench, own, size)
            return int(bench.checked([bench.program("output_read_back"), own.pool, pid, size, 1, "read"])) / 1e6
        finally:
            own.delete_all()

    original = constant("the original", size / MIB / 57 * 1000)
    return [
        Work("read-back", f"Reading back {size // MIB} MiB that a task has retained, library", "ms", "lower", "<= 1.3",
             [Contender("copied out of a mapping", "floor", copies("mapped")),
              Contender("sent through a socket", "floor", copies("socket")),
              Contender("bgtask, bytes of a stream", "ours", library("peek"), stop=tasks.delete_all),
              Contender("bgtask, all streams by cursor", "ours", library("output")), original]),
        Work("read-consuming", f"Taking {size // MIB} MiB from a task, so that of several readers each byte goes to one", "ms",
             "lower", "stated", [Contender("sent through a socket", "floor", copies("socket")),
                                 Contender("bgtask", "ours", consuming), original])]


def retaining(bench: Bench, tasks: Tasks, size: int) -> int:
    writer = Writer(bench, bench.scratch("writer"))
    pid = tasks.start(writer.command("bytes", 64 * 1024, size), "--buffer", str(size))
    tasks.finish(pid, size)
    return pid


def written(bench: Bench, home: Path, size: int) -> Path:
    """A file with what `retaining` keeps, by the same command."""
    path = home / "output"
    path.unlink(missing_ok=True)
    writer = Writer(bench, home)
    with path.open("wb") as file:
        subprocess.run(writer.command("bytes", 64 * 1024, size), stdout=file, check=True)
    writer.read()
    return path


def logs(bench: Bench) -> list[Work]:
    """What is read is written anew for every sample, by the same command: how fast pages are read depends by a third
    on which ones the kernel happened to give. And it is read three times, of which the mean counts: the kernel does more
    when a page is read for the second time since it came, which is the first `cat` of a file that was written, and the
    second look at a ring."""
    size = bench.scaled(4, 100) * MIB

    def shown(where: str, tasks: Tasks, home: Path) -> list[Contender]:
        def once(*command) -> float:
            said = bench.checked([bench.program("drained"), where, *command]).split()
            if where == "pipe" and int(said[1]) != size:
                raise RuntimeError(f"{said[1]} bytes came of {size}")
            return int(said[0]) / 1e6

        def timed(*command) -> float:
            return sum(once(*command) for _ in range(3)) / 3

        def cat() -> float:
            return timed("cat", written(bench, home, size))

        def ours() -> float:
            try:
                return timed(bench.bgtask, "--pool", tasks.pool, "logs", retaining(bench, tasks, size))
            finally:
                tasks.delete_all()

        contenders = [Contender("cat", "floor", cat), Contender("bgtask logs", "ours", ours)]
        peer = bench.peer("task_spooler")
        if peer is not None:
            peer_home = bench.scratch("tsp")

            def up() -> None:
                peer.up(peer_home)
                file = str(written(bench, home, size))
                subprocess.run(peer.run_argv(["cat", file]), env=peer.environment(), cwd=peer_home, check=True, capture_output=True)
                while peer.output().stat().st_size < size:
                    time.sleep(0.05)

            contenders.append(Contender(peer.name, "peer", lambda: timed(
                "env", f"TS_SOCKET={peer_home}/socket", f"TMPDIR={peer_home}", "tsp", "-c"), up, peer.down, peer.version()))
        return contenders

    return [Work(f"logs-{where}", f"`bgtask logs` of {size // MIB} MiB to {name}", "ms", "lower", "<= 1.1",
                 shown(where, Tasks(bench), bench.scratch("logs"))) for where, name in (("null", "/dev/null"), ("pipe", "a pipe"))]


def latency(bench: Bench) -> Work:
    count, gap = bench.scaled(20, 300), 2000
    tasks = Tasks(bench)
    writer = Writer(bench, bench.scratch("ticks"))

    def hops(how: str):
        return lambda: int(bench.checked([bench.program("hops"), how, count, gap])) / 1e3

    def ours() -> float:
        try:
            pid = tasks.start(writer.command("ticks", count, gap, begin=time.monotonic_ns() + 200_000_000))
            return int(bench.checked([bench.program("output_follow"), tasks.pool, pid, "latency", count])) / 1e3
        finally:
            tasks.delete_all()

    return Work("follow-latency", "Live follow: from the child's write until the follower has it", "µs", "lower", "<= 1.5",
                [Contender("two socket hops", "floor", hops("sockets")), Contender("pipe and socket hop", "floor", hops("pipe")),
                 Contender("bgtask", "ours", ours, stop=tasks.delete_all)])


def followers(bench: Bench) -> Work:
    """A child that computes, and says so every 10 ms."""
    count, size = bench.scaled(10, 100), 100
    tasks = Tasks(bench)
    writer = Writer(bench, bench.scratch("work"))

    def run(crowd: int) -> float:
        try:
            pid = tasks.start(writer.command("work", size, count, 10_000, begin=time.monotonic_ns() + 500_000_000))
            if crowd:
                least = int(bench.checked([bench.program("output_follow"), tasks.pool, pid, "crowd", crowd]))
                if least != count * size:
                    raise RuntimeError(f"one follower got {least} bytes only")
            tasks.finish(pid, count * size)
            return writer.read().seconds * 1e3
        finally:
            tasks.delete_all()

    return Work("followers", f"A child that computes and writes {count} lines, with 100 followers", "ms", "lower", "<= 1.05",
                [Contender("bgtask, nobody follows", "floor", lambda: run(0)),
                 Contender("bgtask, 100 followers", "ours", lambda: run(100), stop=tasks.delete_all)])


def feeding(bench: Bench) -> Work:
    size = bench.scaled(4, 100) * MIB
    tasks = Tasks(bench)

    def floor() -> float:
        return size / int(bench.checked([bench.program("stdin_relay"), size])) * 1e3

    def ours() -> float:
        try:
            pid = tasks.start(["cat"], "-i")
            return size / int(bench.checked([bench.program("output_feed"), tasks.pool, pid, size])) * 1e3
        finally:
            tasks.delete_all()

    return Work("stdin", f"{size // MIB} MiB written to the stdin of a task that runs `cat`, until all is back", "MB/s", "higher", ">= 0.8",
                [Contender("socket, pipe, cat, pipe", "floor", floor), Contender("bgtask", "ours", ours, stop=tasks.delete_all),
                 constant("the original", 73)])
