"""Other programs that run commands in the background, each in a private home."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

MARK = "BGTASK_BENCH_PEER"  # in the environment of all that a peer starts, so that it is found and ended
PATIENCE = 10.0


class Peer:
    """up(), then run_argv() as often as wanted, then down(). What run_argv prepares is done when it returns; the command
    line it gives is what is measured, to be run with `environment()` and in `home`."""

    name = ""
    program = ""  # whose presence tells that the peer is installed
    package = ""  # Debian's, for the version

    def __init__(self, bench) -> None:
        self.bench = bench
        self.home = Path("/nonexistent")
        self._servers: list[subprocess.Popen] = []

    def installed(self) -> bool:
        return shutil.which(self.program, path=self._path()) is not None

    def version(self) -> str:
        done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", self.package], capture_output=True, text=True)
        return f"{self.package} {done.stdout}" if done.returncode == 0 else self.program

    def up(self, home: Path) -> None:
        self.home = home

    def down(self) -> None:
        """Ends all that was started, whatever it became: by the mark that it inherited."""
        for number, seconds in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 60.0)):
            deadline = 0.0
            while (left := self.pids()) and (not deadline or time.monotonic() < deadline):
                deadline = deadline or time.monotonic() + seconds  # to find a crowd takes its time, too
                for pid in left:
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        pass
                for server in self._servers:
                    server.poll()  # reaped, or it would seem to live on
                time.sleep(0.02)
        for server in self._servers:
            server.wait()
        self._servers.clear()

    def run_argv(self, command: list[str]) -> list[str]:
        """The command line that starts `command` in the background and returns."""
        raise NotImplementedError

    def list_argv(self) -> list[str]:
        """The command line that lists all tasks with their states."""
        raise NotImplementedError

    def kill_argv(self, number: int) -> list[str] | None:
        """The command line that signals the task started last; None where the peer has none."""
        return None

    def forget(self) -> None:
        """Removes tasks that have ended. Not measured."""

    def output(self) -> Path | None:
        """The file that has the output of the task started last, where there is one."""
        return None

    def environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("LANG", "LC_ALL", "TZ") if key in os.environ}
        return {**kept, "PATH": self._path(), "HOME": str(self.home), "TMPDIR": str(self.home), "TERM": "dumb",
                "SHELL": "/bin/sh", MARK: str(self.home)}

    def pids(self) -> list[int]:
        """All processes that were started by this peer, commands included."""
        mark = f"{MARK}={self.home}".encode()
        return [pid for pid in _all_pids() if mark in _environment_of(pid)]

    def processes(self) -> list[int]:
        """The peer's own processes, without the commands it runs (for memory)."""
        return [pid for pid in self.pids() if self._is_own(pid)]

    def _is_own(self, pid: int) -> bool:
        try:
            return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == os.path.basename(
                os.path.realpath(shutil.which(self.program, path=self._path()) or self.program))
        except OSError:
            return False

    # For those below.

    def _path(self) -> str:
        return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

    def _call(self, *argv: str, check: bool = True) -> str:
        done = subprocess.run(argv, env=self.environment(), cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: status {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def _serve(self, *argv: str) -> None:
        self._servers.append(subprocess.Popen(argv, env=self.environment(), cwd=self.home, stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def until(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)


def script(path: Path, command: list[str]) -> None:
    """A program that becomes the command, for those who run a file."""
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in command)
    path.write_text(f"#!/bin/sh\nexec {quoted}\n")
    path.chmod(0o700)


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
