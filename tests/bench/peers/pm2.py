"""pm2: a daemon of node.js for all tasks. From npm, in the build directory."""

import json
import signal
from pathlib import Path

import peers

PREFIX = Path(__file__).resolve().parents[3] / "build/bench/npm/node_modules"


class Peer(peers.Peer):
    name = "pm2"
    program = "pm2"
    _tasks = 0

    def version(self) -> str:
        return "pm2 " + json.loads((PREFIX / "pm2/package.json").read_text())["version"]

    def _path(self) -> str:
        return f"{PREFIX}/.bin:" + super()._path()

    def environment(self):
        return {**super().environment(), "PM2_HOME": str(self.home), "PM2_DISCRETE_MODE": "true"}

    def up(self, home: Path) -> None:
        super().up(home)
        self._call("pm2", "ping")

    def down(self) -> None:
        self._call("pm2", "kill", check=False)
        super().down()

    def run_argv(self, command):
        self._tasks += 1
        return ["pm2", "start", command[0], "--name", f"task{self._tasks}", "--interpreter", "none", "--no-autorestart",
                "--force", *(["--", *command[1:]] if command[1:] else [])]

    def list_argv(self):
        return ["pm2", "list"]

    def kill_argv(self, number: int):
        return ["pm2", "sendSignal", signal.Signals(number).name, f"task{self._tasks}"]

    def forget(self) -> None:
        self._call("pm2", "delete", "all", check=False)

    def output(self):
        return next((self.home / "logs").glob(f"task{self._tasks}-out*.log"), None)

    def _is_own(self, pid: int) -> bool:
        return b"PM2" in Path(f"/proc/{pid}/cmdline").read_bytes()
