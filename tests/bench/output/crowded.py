"""100 tasks that write at once, some of them followed."""

from __future__ import annotations

import subprocess
import time
from collections import deque
from pathlib import Path

from measure import Bench, Contender, Work
from output.tasks import Tasks, Writer

PIECE = 64 * 1024


class Crowd:
    """So many writers write for a while, all of the same while. One run gives the sum and the least served."""

    def __init__(self, bench: Bench, writers: int, followers: int = 0, floor: bool = False) -> None:
        self.bench = bench
        self.writers = writers
        self.followers = followers
        self.floor = floor
        self.seconds = bench.scaled(0.2, 2.0)
        self.tasks = Tasks(bench)
        self.writer = Writer(bench, bench.scratch("crowd"))
        self._least: deque[float] = deque()
        self._patience = 0.02  # seconds in which one of them starts

    def sum(self) -> float:
        total, least = self._run()
        self._least.append(least)
        return total

    def least(self) -> float:
        return self._least.popleft() if self._least else self._run()[1]

    def _run(self) -> tuple[float, float]:
        while (result := self._try()) is None:
            self._patience *= 2
            if self._patience > 1:
                raise RuntimeError("not all were there when writing began")
        return result

    def _try(self) -> tuple[float, float] | None:
        """GB/s together; the least served writer's part of what each would have if all had the same. None if some were
        not there when writing began, or none had a turn until it ended."""
        begin = time.monotonic_ns() + int((0.3 + self._patience * self.writers) * 1e9)
        end = begin + int(self.seconds * 1e9)
        results: list[Path] = []
        started: list[subprocess.Popen] = []
        try:
            pids = []
            for _ in range(self.writers):
                command = self.writer.command("until", PIECE, end, begin=begin)
                results.append(self.writer.result)
                if self.floor:
                    argv = [str(self.bench.program("pipe_ring")), *command]
                    started.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))
                else:
                    pids.append(self.tasks.start(command))
            for pid in pids[: self.followers]:
                argv = [str(self.bench.bgtask), "--pool", str(self.tasks.pool), "logs", "-f", str(pid)]
                started.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            in_time = time.monotonic_ns() < begin
            sizes = [self.writer.read(result).bytes for result in results]
            for process in started:
                if process.wait(60) != 0:
                    raise RuntimeError("a process failed")
            for pid, size in zip(pids, sizes):
                self.tasks.finish(pid, size)
        finally:
            for process in started:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            self.tasks.delete_all()
        if not in_time or not any(sizes):
            return None
        return sum(sizes) / self.seconds / 1e9, min(sizes) * len(sizes) / sum(sizes)


def many_writers(bench: Bench) -> list[Work]:
    many = bench.scaled(5, 100)
    followed = many // 10
    one = Crowd(bench, 1)
    readers = Crowd(bench, many, floor=True)
    alone = Crowd(bench, many)
    watched = Crowd(bench, many, followed)
    return [
        Work("many-writers", f"{many} tasks write blocks of 64 KiB at once: all together", "GB/s", "higher", ">= 0.9",
             [Contender("one task", "floor", one.sum),
              Contender(f"{many} C readers", "floor", readers.sum),
              Contender(f"bgtask, {many} tasks", "ours", alone.sum, stop=alone.tasks.delete_all),
              Contender(f"bgtask, {many} tasks, {followed} followed", "ours", watched.sum, stop=watched.tasks.delete_all)]),
        Work("many-writers-least", "The same: the least served task's part of an equal share", "share", "higher", "none starved",
             [Contender(f"{many} C readers", "floor", readers.least), Contender(f"bgtask, {many} tasks", "ours", alone.least),
              Contender(f"bgtask, {many} tasks, {followed} followed", "ours", watched.least)], plot=False)]
