"""A crowd of idle tasks, ours and those of others, and what the kernel tells about their processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from measure import Bench
from peers import script

IDLE = ["/bin/sleep", "1000000"]


def plain_environment() -> dict[str, str]:
    """The same little for everybody: a process keeps its environment on its stack."""
    return {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}


class Crowd:
    """Our tasks in a pool of their own."""

    def __init__(self, bench: Bench, count: int) -> None:
        self.bench, self.count = bench, count
        self.pool = Path("/nonexistent")
        self.pids: list[int] = []
        self.spawn_seconds = 0.0

    def up(self) -> None:
        self.pool = self.bench.scratch("crowd")
        argv = [self.bench.program("crowd_probe"), self.pool, str(self.count), self.bench.supervisor, *IDLE]
        *pids, seconds = self.bench.checked(argv, env=plain_environment()).split()
        self.pids, self.spawn_seconds = [int(pid) for pid in pids], float(seconds)
        if len(self.pids) != self.count:
            raise RuntimeError(f"{len(self.pids)} of {self.count} tasks run")
        time.sleep(1)  # what is told about a start has been told by then

    def command(self, *argv: str) -> str:
        return self.bench.checked([self.bench.bgtask, "--pool", self.pool, *argv], env=plain_environment())

    def down(self) -> None:
        """By pid: a supervisor that is sent TERM deletes its task. What came up of a crowd that did not come up whole is found by name."""
        pids = self.pids or ([int(name) for name in os.listdir(self.pool) if name.isdigit()] if self.pool.exists() else [])
        # A delete is given up where what was killed has not ended in time, as may happen with thousands at once: then once more.
        _until_gone(pids, again=signal.SIGTERM)
        left = [name for name in os.listdir(self.pool)] if self.pool.exists() else []
        self.pids = []
        if left:
            raise RuntimeError(f"{len(left)} tasks were not deleted")


class Bare:
    """The floors: programs that print their own pid and that of their command."""

    def __init__(self, bench: Bench, name: str, count: int) -> None:
        self.bench, self.name, self.count = bench, name, count
        self.pids: list[int] = []

    def up(self) -> None:
        for _ in range(self.count):
            line = self.bench.checked([self.bench.program(self.name), *IDLE], env=plain_environment())
            self.pids.append(int(line.split()[0]))

    def down(self) -> None:
        for pid in self.pids:
            _signal(pid, signal.SIGTERM)
        _until_gone(self.pids)
        self.pids = []


class PeerCrowd:
    """Tasks of another program."""

    def __init__(self, bench: Bench, peer, count: int) -> None:
        self.bench, self.peer, self.count = bench, peer, count

    def up(self) -> None:
        self.peer.up(self.bench.scratch(self.peer.name))
        if self.peer.name == "supervisord":
            self.peer.define(IDLE, self.count, autostart=True)
        elif self.peer.name == "runit":
            self._services()
        else:
            self._commands()
        deadline = time.monotonic() + 30
        while (running := self._running()) < self.count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{running} of {self.count} tasks run")
            time.sleep(0.5)
        time.sleep(1)

    def _commands(self) -> None:
        for _ in range(self.count):
            argv = self.peer.run_argv(IDLE)
            subprocess.run(argv, env=self.peer.environment(), cwd=self.peer.home, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)

    def _services(self) -> None:
        """As runsvdir does it, which looks once a second and has room for 1,000."""
        for number in range(self.count):
            service = self.peer.home / "scan" / f"many{number}"
            service.mkdir()
            script(service / "run", IDLE)
            self.peer._serve("runsv", str(service))

    def _running(self) -> int:
        return sum(1 for pid in self.peer.pids() if _command(pid) == IDLE)

    def down(self) -> None:
        self.peer.down()


def private_kib(pid: int) -> float:
    """Memory that is this process's alone: anonymous pages, and those of its mapped files that nobody else maps."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return float(sum(int(kib) for kib in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", text, re.MULTILINE)))


def status_field(pid: int, field: str) -> int:
    match = re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(match[1]) if match else 0


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def switches(pids: list[int]) -> int:
    """How often these processes have been put to sleep or pushed aside: who sleeps on is not counted again."""
    return sum(status_field(pid, "voluntary_ctxt_switches") + status_field(pid, "nonvoluntary_ctxt_switches") for pid in pids)


def kernel_kib() -> dict[str, int]:
    fields = dict(re.findall(r"^(\w+): +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE))
    return {name: int(fields[name]) for name in ("Slab", "KernelStack", "PageTables", "Percpu", "Shmem")}


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _until_gone(pids: list[int], again: int = 0, patience: float = 120.0) -> None:
    """`again`: a signal that is sent to them, and every ten seconds to those that are left."""
    deadline = time.monotonic() + patience
    due = 0.0
    while left := [pid for pid in pids if _alive(pid)]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(left)} processes do not end")
        if again and time.monotonic() >= due:
            due = time.monotonic() + 10
            for pid in left:
                _signal(pid, again)
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False
