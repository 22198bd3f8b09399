"""How fast output is taken in, and at what cost: the same child writes to everybody."""

from __future__ import annotations

import subprocess
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from measure import Bench, Contender
from output.tasks import Tasks, Writer, cpu_of

ORIGINAL = "RapidApp BgTask, measured once, Debian 12, 2 cores"


@dataclass
class Taken:
    rate: float  # GB/s
    share: float | None  # of the taker's cpu in the child's
    cost: float | None  # its cpu, ms for a GB


@dataclass
class Taker:
    """Somebody who takes output in. One run gives the rate and the cpu; the works of the cpu use up what the runs for
    the rate have left, so that both are of the same runs."""

    name: str
    kind: str
    run: Callable[[], Taken]
    start: Callable[[], None]
    stop: Callable[[], None]
    note: str = ""
    _left: deque = field(default_factory=deque)

    def rate(self) -> float:
        taken = self.run()
        self._left.append(taken)
        return taken.rate

    def _of_same_run(self) -> Taken:
        return self._left.popleft() if self._left else self.run()

    def contender(self, what: str) -> Contender:
        sample = {"rate": self.rate, "share": lambda: self._of_same_run().share,
                  "cost": lambda: self._of_same_run().cost}[what]
        return Contender(self.name, self.kind, sample, self.start, self.stop, self.note)


class Intake:
    """Writes of `piece` bytes, `total` of them, to all takers."""

    def __init__(self, bench: Bench, piece: int, total: int) -> None:
        self.bench = bench
        self.piece = piece
        self.total = total

    def _command(self, writer: Writer, total: int) -> list[str]:
        return writer.command("bytes", self.piece, total)

    def _taken(self, writer: Writer, total: int, cpu: Callable[[], float] | None) -> Taken:
        written = writer.read()
        if written.bytes < total:
            raise RuntimeError("the writer has not written all")
        used = cpu() if cpu else None
        return Taken(written.bytes / written.seconds / 1e9, used / written.cpu if used is not None else None,
                     used * 1e12 / written.bytes if used is not None else None)

    def floor(self) -> Taker:
        writer = Writer(self.bench, self.bench.scratch("floor"))

        def run() -> Taken:
            said = self.bench.checked([self.bench.program("pipe_ring"), *self._command(writer, self.total)])
            size, cpu = (int(word) for word in said.split())
            if size < self.total:
                raise RuntimeError("not all was read")
            return self._taken(writer, self.total, lambda: cpu / 1e9)

        return Taker("1 MiB pipe into a ring", "floor", run, lambda: None, lambda: None)

    def ours(self) -> Taker:
        tasks = Tasks(self.bench)
        writer = Writer(self.bench, self.bench.scratch("ours"))

        def run() -> Taken:
            try:
                pid = tasks.start(self._command(writer, self.total))
                tasks("wait", str(pid))
                used = cpu_of(pid)  # its whole life, start included
                tasks.finish(pid, -(-self.total // self.piece) * self.piece)
                return self._taken(writer, self.total, lambda: used)
            finally:
                tasks.delete_all()

        return Taker("bgtask", "ours", run, lambda: None, tasks.delete_all)

    def peer(self, name: str, total: int | None = None, label: str = "", note: str = "", **settings) -> Taker | None:
        """Peers write files; those that have been looked at are emptied."""
        peer = self.bench.peer(name)
        if peer is None:
            return None
        for key, value in settings.items():
            setattr(peer, key, value)
        amount = min(total or self.total, self.total)
        home = self.bench.scratch(name[:8])
        writer = Writer(self.bench, self.bench.scratch("writer"))

        def run() -> Taken:
            argv = peer.run_argv(self._command(writer, amount))
            processes = peer.processes()
            before = sum(map(cpu_of, processes))
            done = subprocess.run(argv, env=peer.environment(), cwd=peer.home, stdin=subprocess.DEVNULL, capture_output=True)
            if done.returncode != 0:
                raise RuntimeError(f"{argv[0]}: status {done.returncode}")
            used = (lambda: sum(map(cpu_of, processes)) - before) if name == "supervisord" else None
            taken = self._taken(writer, amount, used)
            output = peer.output()
            if output is not None:
                if not output.exists() or output.stat().st_size == 0:
                    raise RuntimeError("there is no output")
                for path in output.parent.glob(output.name + "*"):
                    path.write_bytes(b"")
            return taken

        version = peer.version()
        return Taker(label or peer.name, "peer", run, lambda: peer.up(home), peer.down, f"{version}; {note}" if note else version)

    def s6_log(self) -> Taker | None:
        """A logger behind a pipe, as s6 and its kin have it for their services."""
        peer = self.bench.peer("s6")
        if peer is None:
            return None
        home = self.bench.scratch("s6log")
        writer = Writer(self.bench, home)

        def run() -> Taken:
            script = '"$@" | s6-log -b n4 s1000000 ' + str(home / "log")
            self.bench.checked(["sh", "-c", script, "sh", *self._command(writer, self.total)])
            if not any(path.stat().st_size for path in (home / "log").iterdir()):
                raise RuntimeError("there is no output")
            return self._taken(writer, self.total, None)

        return Taker("s6-log", "peer", run, lambda: None, lambda: None, peer.version())


def constant(name: str, value: float, note: str = ORIGINAL) -> Contender:
    return Contender(name, "constant", lambda: value, note=note)


def present(takers: list[Taker | None]) -> list[Taker]:
    return [taker for taker in takers if taker is not None]


def scratch_file(bench: Bench, size: int) -> Path:
    path = bench.scratch("file") / "data"
    path.write_bytes((b"x" * 99 + b"\n") * (size // 100) + b"x" * (size % 100))
    return path
