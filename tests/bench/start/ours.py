"""bgtask in a pool of its own, as a contender of the works here."""

from __future__ import annotations

import os
import time
from pathlib import Path

from measure import Bench

PATIENCE = 30.0


class Pool:
    """start() makes it, stop() deletes its tasks."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench = bench
        self.name = name
        self.path = Path()

    def start(self) -> None:
        self.path = self.bench.scratch(self.name)

    def stop(self) -> None:
        self.clear()

    def argv(self, verb: str, *words) -> list:
        return [self.bench.bgtask, "--pool", self.path, verb, *words]

    def call(self, verb: str, *words) -> str:
        return self.bench.checked(self.argv(verb, *words))

    def run(self, *command) -> int:
        return int(self.call("run", "--", *command))

    def clear(self) -> None:
        """Removes all tasks: not measured."""
        if self.path.is_dir() and any(self.path.iterdir()):
            self.call("delete", "-a", "--grace", "0")

    def check_ended(self, count: int) -> None:
        """So many tasks, all of which ended with 0."""
        self.call("wait", "-a")
        listed = self.call("ls", "-o", "jsonl").splitlines()
        if len(listed) != count or not all('"exit_code":0' in line for line in listed):
            raise RuntimeError(f"{len(listed)} tasks of {count}, or not all of them ended well")


def lines_of(path: Path, count: int) -> list[str]:
    """So many lines, as soon as the file has them."""
    deadline = time.monotonic() + PATIENCE
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count:
            return lines
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(lines)} lines of {count} in {path}")
        time.sleep(0.005)


def pin(pid: int, cpus: set[int]) -> None:
    os.sched_setaffinity(pid, cpus)
