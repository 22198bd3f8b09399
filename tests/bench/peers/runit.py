"""runit: a runsv for each service directory, all below one runsvdir."""

from pathlib import Path

import peers

SIGNALS = {15: "term", 9: "kill", 1: "hup", 2: "interrupt", 10: "1", 12: "2"}


class Peer(peers.Peer):
    name = "runit"
    program = "runsv"
    package = "runit"
    _services = 0

    def up(self, home: Path) -> None:
        super().up(home)
        (home / "new").mkdir()
        (home / "scan").mkdir()
        self._serve("runsvdir", str(home / "scan"))

    def _service(self, number: int) -> Path:
        return self.home / "scan" / f"service{number}"

    def run_argv(self, command):
        self._services += 1
        service = self.home / "new" / f"service{self._services}"
        service.mkdir()
        (service / "down").touch()
        peers.script(service / "run", command)
        service.rename(self._service(self._services))  # seen by runsvdir only when it is whole
        peers.until((self._service(self._services) / "supervise/ok").exists, "runsv does not start")
        return ["sv", "once", str(self._service(self._services))]

    def list_argv(self):
        return ["sh", "-c", "sv status ./scan/*"]

    def kill_argv(self, number: int):
        return ["sv", SIGNALS[number], str(self._service(self._services))]
