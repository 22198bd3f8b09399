"""task-spooler: a queue with a server that is started by the first task."""

from pathlib import Path

import peers


class Peer(peers.Peer):
    name = "task-spooler"
    program = "tsp"
    package = "task-spooler"

    def environment(self):
        return {**super().environment(), "TS_SOCKET": str(self.home / "socket"), "TS_MAXFINISHED": "100000",
                "TS_SLOTS": "100000"}  # or each would wait for the one before it

    def up(self, home: Path) -> None:
        super().up(home)
        self._call("tsp", "true")
        self.forget()

    def down(self) -> None:
        self._call("tsp", "-K", check=False)
        super().down()

    def run_argv(self, command):
        return ["tsp", *command]

    def list_argv(self):
        return ["tsp", "-l"]

    def forget(self) -> None:
        self._call("tsp", "-C")

    def output(self):
        def said() -> str:  # nothing yet where the command has not begun
            return self._call("tsp", "-o", check=False).strip()

        peers.until(lambda: said().startswith("/"), "tsp to begin")
        return Path(said())
