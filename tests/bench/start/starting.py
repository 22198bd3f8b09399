"""Works: from asking for a task until the answer, and until the task's first instruction."""

from __future__ import annotations

import statistics
import subprocess

from constants import constant
from measure import Bench, Contender, Work, milliseconds
from ours import Pool, lines_of

GAP = 0.003  # what a start leaves to be done in the background is done by then
PEERS = ("task_spooler", "nq", "s6", "runit", "dtach", "conmon", "tmux", "supervisord", "pm2")
SLOW = ("supervisord", "pm2")
SERVICES = ("s6", "runit")
SERVICE_GAP = 1.2  # they start a service at most once a second
GAPS = {"dtach": 0.05}  # whose socket must be gone before its name is used again
REMARKS = {
    "s6": "its supervisor is there before; returns before the command runs",
    "runit": "its supervisor is there before; returns before the command runs",
    "supervisord": "the daemon is there before, the program is in its configuration",
    "pm2": "the daemon is there before",
    "task_spooler": "the server is there before",
    "tmux": "the server is there before",
    "conmon": "with a runtime that only forks; returns before the command runs",
}


def run_returns(bench: Bench) -> Work:
    count = bench.scaled(3, 20)
    pool = Pool(bench, "run")

    def median_of(argv: list, times: int = count, gap: float = GAP, **place) -> float:
        return statistics.median(milliseconds(bench.timed(argv, times, gap, **place)))

    def ours() -> float:
        value = median_of(pool.argv("run", "true"))
        pool.check_ended(count)
        pool.clear()
        return value

    contenders = [
        Contender("posix_spawn of /bin/true", "floor", lambda: median_of(["/bin/true"])),
        Contender("bare static supervisor", "floor", lambda: median_of([bench.program("bare"), "/bin/true"]),
                  note="starts, tells of the exec and waits; keeps nothing"),
        Contender("bgtask run", "ours", ours, pool.start, pool.stop),
        constant(378, "345–410 ms for a spawn"),
    ]
    for name in PEERS:
        if peer := bench.peer(name):
            times = 2 if name in SLOW else count
            gap = GAPS.get(name, GAP)
            contenders.append(peer_contender(bench, name, peer, lambda argv, peer=peer, times=times, gap=gap: median_of(
                argv, times, gap, env=peer.environment(), cwd=peer.home), ["/bin/true"]))
    return Work("run-returns", "`bgtask run true` until it returns", "ms", "lower", "<= 2.0", contenders)


def run_first(bench: Bench) -> Work:
    count = bench.scaled(3, 20)
    pool = Pool(bench, "first")
    base = bench.scratch("first")
    marks = base / "marks"
    command = [str(bench.program("first")), str(marks)]

    def median_of(argv: list, times: int = count, gap: float = GAP, **place) -> float:
        marks.unlink(missing_ok=True)
        started = [start for start, _ in bench.timed(argv, times, gap, **place)]
        begun = sorted(int(line) for line in lines_of(marks, times))
        return statistics.median((first - start) / 1e6 for start, first in zip(started, begun))

    def floor() -> float:
        return statistics.median(milliseconds(bench.timed(["/bin/true"], count, GAP)))

    def ours() -> float:
        value = median_of(pool.argv("run", *command))
        pool.check_ended(count)
        pool.clear()
        return value

    contenders = [
        Contender("posix_spawn of /bin/true", "floor", floor, note="until it returns, as above"),
        Contender("bare static supervisor", "floor", lambda: median_of([bench.program("bare"), *command])),
        Contender("bgtask run", "ours", ours, pool.start, pool.stop),
    ]
    for name in ("task_spooler", "nq", "s6", "runit", "dtach", "conmon", "tmux"):
        if peer := bench.peer(name):
            times, gap = (3, SERVICE_GAP) if name in SERVICES else (count, GAPS.get(name, GAP))
            contenders.append(peer_contender(bench, name, peer, lambda argv, peer=peer, times=times, gap=gap: median_of(
                argv, times, gap, env=peer.environment(), cwd=peer.home), command))
    return Work("run-first", "`bgtask run` until the child's first instruction", "ms", "lower", "<= 2.0", contenders)


def peer_contender(bench: Bench, name: str, peer, measure, command: list[str]) -> Contender:
    argv: list[str] = []

    def start() -> None:
        peer.up(bench.scratch(name))
        argv[:] = peer.run_argv(command)

    def sample() -> float:
        value = measure(argv)
        peer.forget()
        return value

    remark = REMARKS.get(name)
    return Contender(peer.name, "peer", sample, start, peer.down, peer.version() + (f", {remark}" if remark else ""))


class Caller:
    """A program over the library that stays, of a given size."""

    def __init__(self, bench: Bench, mebibytes: int, threads: int, descriptors: int) -> None:
        self.bench = bench
        self.size = [mebibytes, threads, descriptors]
        self.pool = Pool(bench, "spawn")

    def start(self) -> None:
        self.pool.start()
        argv = [self.bench.program("spawn_probe"), self.pool.path, self.bench.supervisor, *self.size]
        self.process = subprocess.Popen([str(word) for word in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("spawn_probe does not start")

    def sample(self, count: int) -> float:
        print(count, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline()) / 1e6

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.pool.stop()


def spawn(bench: Bench) -> Work:
    count = bench.scaled(3, 20)
    small = Caller(bench, 0, 0, 0)
    large = Caller(bench, bench.scaled(64, 4096), bench.scaled(20, 500), bench.scaled(20, 500))

    def floor() -> float:
        return statistics.median(milliseconds(bench.timed(["/bin/true"], count, GAP)))

    def bare() -> float:
        lines = bench.checked([bench.program("bare"), "--loop", count, "/bin/true"]).splitlines()
        return statistics.median(int(line) / 1e6 for line in lines)

    return Work("spawn", "`TaskPool::spawn` in a running program", "ms", "lower", "<= 1.6", [
        Contender("posix_spawn of /bin/true", "floor", floor, note="until it has ended"),
        Contender("bare static supervisor", "floor", bare),
        Contender("TaskPool::spawn", "ours", lambda: small.sample(count), small.start, small.stop),
        Contender("TaskPool::spawn, large caller", "ours", lambda: large.sample(count), large.start, large.stop,
                  note="4 GiB of touched memory, 500 threads, 500 descriptors"),
        constant(378, "345–410 ms for a spawn"),
    ])
