"""What is measured and how: works, their contenders, and the interleaved rounds they are sampled in."""

from __future__ import annotations

import importlib
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MEMORY_FILE_SYSTEM = Path("/dev/shm")


def nothing() -> None:
    pass


@dataclass
class Contender:
    """One way of doing a work. `sample` raises on anything wrong: what failed is never counted as fast."""

    name: str
    kind: str  # "floor" | "ours" | "part" (of ours, to explain it: no goal) | "peer" | "constant"
    sample: Callable[[], float]
    start: Callable[[], None] = nothing  # before the first sample
    stop: Callable[[], None] = nothing  # after the last, always
    note: str = ""


@dataclass
class Work:
    key: str
    title: str
    unit: str
    better: str  # "lower" | "higher"
    goal: str  # "<= 2.0" of the ratio to the floor, "<= 90 KiB" of the value, or text
    contenders: list[Contender]  # the first of kind "floor" is the 1 of the ratios
    plot: bool = True


@dataclass
class Spread:
    """Median and quartiles."""

    median: float
    first: float
    third: float

    @staticmethod
    def of(values: list[float]) -> "Spread":
        if len(values) < 2:
            return Spread(values[0], values[0], values[0])
        first, _, third = statistics.quantiles(values, n=4, method="inclusive")
        return Spread(statistics.median(values), first, third)


@dataclass
class Row:
    """What came of one contender."""

    contender: Contender
    value: Spread | None = None  # None: it failed
    ratio: Spread | None = None  # None: there is no floor
    goal_met: bool | None = None  # None: not ours, or the goal is no number
    failure: str = ""


@dataclass
class Outcome:
    work: Work
    rows: list[Row] = field(default_factory=list)

    @property
    def broken(self) -> bool:
        return any(row.failure and row.contender.kind != "peer" for row in self.rows)


@dataclass(frozen=True)
class Goal:
    below: bool
    bound: float
    of_ratio: bool

    @staticmethod
    def of(work: Work) -> "Goal | None":
        match = re.fullmatch(r"(<=|>=) *([0-9.]+) *(.*)", work.goal)
        if not match or match[3] not in ("", work.unit):
            return None
        return Goal(match[1] == "<=", float(match[2]), match[3] == "")

    def met(self, row: Row) -> bool | None:
        spread = row.ratio if self.of_ratio else row.value
        if spread is None:
            return None
        return spread.median <= self.bound if self.below else spread.median >= self.bound


class Bench:
    """What a work has at hand."""

    def __init__(self, build: Path, quick: bool, peers: bool, rounds: int) -> None:
        self.build = build
        self.quick = quick
        self.peers = peers
        self.rounds = rounds
        self.bgtask = build / "bin" / "bgtask"
        self.supervisor = build / "bin" / "bgtask-supervisor"
        base = MEMORY_FILE_SYSTEM if MEMORY_FILE_SYSTEM.is_dir() else None
        self._root = Path(tempfile.mkdtemp(prefix="bgtask-bench-", dir=base))
        self._scratches = 0
        # The same plain surroundings for all: a long PATH would be searched by some and not by others, and whoever calls us may
        # be a task.
        plain = {"PATH": PATH, "HOME": str(self._root), "LANG": "C.UTF-8", "TERM": "dumb"}
        os.environ.clear()
        os.environ.update(plain)

    def close(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    def program(self, name: str) -> Path:
        """A floor or a probe built by CMake. One that is not there yet has a path that says so."""
        found = [path for path in self.build.glob(f"tests/bench/*/{name}") if path.is_file()]
        return found[0] if found else self.build / "tests/bench/not-built" / name

    def scratch(self, name: str) -> Path:
        """A fresh private directory in memory. The name stays short: sockets lie in it."""
        self._scratches += 1
        path = self._root / f"{name}.{self._scratches}"
        path.mkdir(mode=0o700)
        return path

    def scaled(self, quick, full):
        return quick if self.quick else full

    def peer(self, name: str):
        """A fresh peers.Peer; None where it is not installed, or not asked for."""
        if not self.peers:
            return None
        peer = importlib.import_module(f"peers.{name}").Peer(self)
        return peer if peer.installed() else None

    def timed(self, argv: list, count: int = 1, gap: float = 0.0, env: dict | None = None,
              cwd: Path | None = None) -> list[tuple[int, int]]:
        """Runs the command so many times, one after the other, with a rest of `gap` seconds before each. Gives the
        time (CLOCK_MONOTONIC, ns) before each start and after each end. Raises unless all end with status 0. A small C program
        measures, since starting a process from Python takes longer than what is measured."""
        command = [self.program("timed"), str(count), str(round(gap * 1e6)), *argv]
        done = subprocess.run([str(part) for part in command], env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = done.stdout.splitlines()
        if done.returncode != 0 or len(lines) != count:
            raise RuntimeError(f"{' '.join(command_words(argv))}: status {done.returncode}: {done.stderr.strip()}")
        return [(int(start), int(end)) for start, end in (line.split() for line in lines)]

    def checked(self, argv: list, env: dict | None = None, cwd: Path | None = None, input: str | None = None) -> str:
        """The command's output; raises unless it ends with status 0."""
        done = subprocess.run(command_words(argv), env=env, cwd=cwd, input=input, text=True,
                              stdin=subprocess.DEVNULL if input is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            words = " ".join(command_words(argv))
            raise RuntimeError(f"{words}: status {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout


def command_words(argv: list) -> list[str]:
    return [str(part) for part in argv]


def milliseconds(times: list[tuple[int, int]]) -> list[float]:
    return [(end - start) / 1e6 for start, end in times]


def run_work(work: Work, rounds: int, shuffler: random.Random) -> Outcome:
    """All contenders of one work, round by round, in an order that is new in each. A contender that fails is out."""
    rows = [Row(contender) for contender in work.contenders]
    values: dict[str, list[float | None]] = {row.contender.name: [] for row in rows}
    started: list[Row] = []
    try:
        for row in rows:
            started.append(row)
            _attempt(row, row.contender.start)
        for _ in range(rounds):
            for row in shuffler.sample(rows, len(rows)):
                value = None if row.failure else _attempt(row, row.contender.sample)
                values[row.contender.name].append(value)
    finally:
        for row in reversed(started):
            _attempt(row, row.contender.stop)
    _summarise(work, rows, values)
    return Outcome(work, rows)


def _attempt(row: Row, function: Callable):
    try:
        return function()
    except Exception as error:  # of anything a contender may do; said in the table, and the run goes on
        while error.__context__ is not None:  # what went wrong first, not what cleaning up after it met
            error = error.__context__
        row.failure = row.failure or f"{type(error).__name__}: {error}"
        print(f"    {row.contender.name}: {row.failure}", file=sys.stderr, flush=True)
        return None


def _summarise(work: Work, rows: list[Row], values: dict[str, list[float | None]]) -> None:
    goal = Goal.of(work)
    floor = next((row.contender.name for row in rows if row.contender.kind == "floor"), None)
    for row in rows:
        mine = values[row.contender.name]
        if row.failure or not mine:
            continue
        row.value = Spread.of([value for value in mine if value is not None])
        if floor is not None:
            pairs = [(value, base) for value, base in zip(mine, values[floor]) if value is not None and base]
            if pairs:
                row.ratio = Spread.of([value / base for value, base in pairs])
        if goal and row.contender.kind == "ours":
            row.goal_met = goal.met(row)
