"""Tasks of a private pool, and what their child of every measurement, output_writer, tells of itself."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from measure import Bench

PATIENCE = 120.0


def cpu_of(pid: int) -> float:
    """Seconds on a processor, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@dataclass
class Written:
    """What output_writer says when it is done."""

    seconds: float
    cpu: float
    bytes: int


class Writer:
    """Command lines of output_writer, each with a result file of its own."""

    def __init__(self, bench: Bench, home: Path) -> None:
        self._program = bench.program("output_writer")
        self._home = home
        self._runs = 0
        self.result = home

    def command(self, mode: str, *numbers: int, begin: int = 0) -> list[str]:
        self._runs += 1
        self.result = self._home / f"result{self._runs}"
        return [str(part) for part in (self._program, self.result, begin, mode, *numbers)]

    def read(self, result: Path | None = None) -> Written:
        """Waits for the writer's end."""
        result = result or self.result
        deadline = time.monotonic() + PATIENCE
        while not result.exists():
            if time.monotonic() > deadline:
                raise TimeoutError("the writer does not end")
            time.sleep(0.002)
        begin, end, cpu, size = (int(word) for word in result.read_text().split())
        result.unlink()
        return Written((end - begin) / 1e9, cpu / 1e9, size)


class Tasks:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.pool = bench.scratch("pool")
        self._left: list[str] = []

    def __call__(self, *argv) -> str:
        return self.bench.checked([self.bench.bgtask, "--pool", self.pool, *argv])

    def start(self, command: list[str], *options: str) -> int:
        pid = int(self("run", *options, "--", *command))
        self._left.append(str(pid))
        return pid

    def info(self, pid: int) -> dict:
        return json.loads(self("info", str(pid)))

    def finish(self, pid: int, size: int) -> None:
        """Waits for the task's end and looks whether all its output was taken in."""
        self("wait", str(pid))
        limit = self.info(pid)["streams"]["stdout"]["limit"]
        if limit != size:
            raise RuntimeError(f"{limit} bytes were taken in of {size}")

    def delete_all(self) -> None:
        if self._left:
            self("delete", "--grace", "0", *self._left)
        self._left.clear()
