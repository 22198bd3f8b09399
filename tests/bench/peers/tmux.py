"""tmux: terminals, all held by one server."""

from pathlib import Path

import peers


class Peer(peers.Peer):
    name = "tmux"
    program = "tmux"
    package = "tmux"

    def up(self, home: Path) -> None:
        super().up(home)
        self._call(*self._tmux("-f", "/dev/null", "new-session", "-d", "-s", "keep", "sleep", "1000000"))
        self._call(*self._tmux("set-option", "-g", "history-limit", "10000"))

    def down(self) -> None:
        self._call(*self._tmux("kill-server"), check=False)
        super().down()

    def _tmux(self, *argv: str) -> list[str]:
        return ["tmux", "-S", str(self.home / "socket"), *argv]

    def run_argv(self, command):
        return self._tmux("new-session", "-d", *command)

    def list_argv(self):
        return self._tmux("list-sessions")
