"""The same things done to 100, 1,000 and 10,000 live tasks: spawned, listed, signalled by selector, deleted. What one
task costs must not depend on how many there are."""

from __future__ import annotations

import statistics
import time

from measure import Bench, Contender, Work
from tasks import Crowd, private_kib, switches

STEPS = {
    "spawn": ("spawning a task among many", "ms/task"),
    "list": ("`ls` among many", "µs/task"),
    "signal": ("`kill` by selector", "µs/task"),
    "delete": ("`delete` by selector", "ms/task"),
    "memory": ("private memory among many", "KiB"),
}


class Lives:
    """Whole lives of a crowd. Each step's figure is kept until the work of that step asks for it."""

    def __init__(self, bench: Bench, count: int, most: int) -> None:
        self.bench, self.count, self.most = bench, count, most
        self.taken: dict[str, list[float]] = {step: [] for step in STEPS}
        self.given: dict[str, int] = {step: 0 for step in STEPS}

    def figure(self, step: str) -> float:
        # A life of 10,000 takes long: the same few are given again where more rounds are asked for.
        if self.given[step] == len(self.taken[step]) and len(self.taken[step]) < self.most:
            self._live()
        self.given[step] += 1
        return self.taken[step][(self.given[step] - 1) % len(self.taken[step])]

    def _live(self) -> None:
        crowd = Crowd(self.bench, self.count)
        try:
            crowd.up()
            figures = {"spawn": 1e3 * crowd.spawn_seconds / self.count,
                       "memory": statistics.fmean(private_kib(pid) for pid in crowd.pids[:: max(1, self.count // 500)])}
            before = switches(crowd.pids)
            figures["list"] = 1e6 * self._timed(lambda: self._listed(crowd)) / self.count
            if switches(crowd.pids) != before:
                raise RuntimeError("the list woke supervisors")
            # CONT disturbs no command: what is told by the kernel about it is nothing.
            figures["signal"] = 1e6 * self._timed(lambda: self._signalled(crowd)) / self.count
            figures["delete"] = 1e3 * self._timed(lambda: crowd.command("delete", "-a")) / self.count
            if left := [path.name for path in crowd.pool.iterdir()]:
                raise RuntimeError(f"{len(left)} tasks are left")
        finally:
            crowd.down()
        for step, value in figures.items():
            self.taken[step].append(value)

    @staticmethod
    def _timed(action) -> float:
        begin = time.monotonic()
        action()
        return time.monotonic() - begin

    def _listed(self, crowd: Crowd) -> None:
        if len(crowd.command("ls", "-q", "-l", "name").split()) != self.count:
            raise RuntimeError("not all are listed")

    def _signalled(self, crowd: Crowd) -> None:
        crowd.command("kill", "-s", "CONT", "-l", "team")


def works(bench: Bench) -> list[Work]:
    sizes = bench.scaled((2, 10), (100, 1000, 10_000))
    lives = {size: Lives(bench, size, 1 if size > 1000 else 3) for size in sizes}

    def contender(step: str, size: int) -> Contender:
        kind = "floor" if size == sizes[0] else "ours" if size == sizes[-1] else "size"
        note = "one run" if lives[size].most == 1 else ""
        return Contender(f"{size:,} tasks", kind, lambda: lives[size].figure(step), note=note)

    return [Work(f"crowd-{step}", f"{title}: {sizes[-1]:,} tasks against {sizes[0]}", unit, "lower", "<= 1.2",
                 [contender(step, size) for size in sizes])
            for step, (title, unit) in STEPS.items()]
