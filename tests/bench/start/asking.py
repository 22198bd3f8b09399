"""Works: a request and its reply on an open connection, and signals."""

from __future__ import annotations

import os
import statistics

from constants import constant
from measure import Bench, Contender, Work
from ours import Pool, lines_of, pin

GAP = 0.003


def asking(bench: Bench, method: str, goal: str, pinned: bool) -> Work:
    count = bench.scaled(200, 5000)
    pool = Pool(bench, "ask")
    one = {min(os.sched_getaffinity(0))}
    pids: list[int] = []

    def start() -> None:
        pool.start()
        pids[:] = [pool.run("sleep", "1000000")]
        if pinned:
            pin(pids[0], one)

    def floor() -> float:
        cpu = next(iter(one)) if pinned else -1
        return int(bench.checked([bench.program("echo_floor"), count, 64, cpu])) / 1e3

    def ask(what: str) -> float:
        prefix = ["taskset", "-c", next(iter(one))] if pinned else []
        return int(bench.checked([*prefix, bench.program("ask_probe"), pool.path, pids[0], what, count])) / 1e3

    contenders = [Contender("echo over a Unix socket", "floor", floor, note="64 bytes there and back, in C"),
                  Contender(f"Task: {method}", "ours", lambda: ask(method), start, pool.stop)]
    if method == "ping":
        # Comes after, and so uses the task of the one before.
        contenders.append(Contender("ping as bytes, without the library", "part", lambda: ask("raw")))
    contenders.append(constant(215, "170–260 µs"))
    where = "one core" if pinned else "two cores"
    key = method + ("-one-core" if pinned else "")
    return Work(key, f"`{method}` on an open connection, {where}", "µs", "lower", goal, contenders)


def kill(bench: Bench) -> Work:
    count = bench.scaled(3, 20)
    base = bench.scratch("kill")
    catcher = str(bench.program("catcher"))

    class Target:
        """Something that is signalled, and writes down when."""

        def __init__(self, name: str) -> None:
            self.marks = base / name
            self.seen = 1  # the line "ready"

        def median_of(self, argv: list, **place) -> float:
            times = []
            for _ in range(count):  # each is waited for: two that are pending are one
                start, _ = bench.timed(argv, 1, GAP, **place)[0]
                self.seen += 1
                lines = lines_of(self.marks, self.seen)
                if len(lines) != self.seen:
                    raise RuntimeError("more signals than were sent")
                times.append((int(lines[-1]) - start) / 1e6)
            return statistics.median(times)

    pool = Pool(bench, "kill")
    ours = Target("ours")
    plain = Target("plain")
    pids: list[int] = []

    def start_plain() -> None:
        pids.append(os.posix_spawn(catcher, [catcher, str(plain.marks)], os.environ))
        lines_of(plain.marks, 1)

    def stop_plain() -> None:
        os.kill(pids[0], 9)
        os.waitpid(pids[0], 0)

    def start_ours() -> None:
        pool.start()
        ours.pid = pool.run(catcher, ours.marks)
        lines_of(ours.marks, 1)

    contenders = [
        Contender("/bin/kill", "floor", lambda: plain.median_of(["/bin/kill", "-USR1", pids[0]]), start_plain, stop_plain),
        Contender("bgtask kill", "ours", lambda: ours.median_of(pool.argv("kill", "-USR1", ours.pid)), start_ours, pool.stop),
    ]
    for name in ("s6", "runit", "supervisord"):
        if peer := bench.peer(name):
            contenders.append(peer_target(bench, name, peer, Target(name), catcher))
    return Work("kill", "`bgtask kill` until the child has the signal", "ms", "lower", "<= 1.1", contenders)


def peer_target(bench: Bench, name: str, peer, target, catcher: str) -> Contender:
    def start() -> None:
        peer.up(bench.scratch(name))
        bench.checked(peer.run_argv([catcher, str(target.marks)]), env=peer.environment(), cwd=peer.home)
        lines_of(target.marks, 1)

    def sample() -> float:
        return target.median_of(peer.kill_argv(10), env=peer.environment(), cwd=peer.home)

    return Contender(peer.name, "peer", sample, start, peer.down, peer.version())
