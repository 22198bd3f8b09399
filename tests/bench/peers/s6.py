"""s6: a supervisor for each service directory, all below one s6-svscan. The supervisor is there before the command is
asked for, so what is measured is its start alone."""

from pathlib import Path

import peers

SIGNALS = {15: "-t", 9: "-k", 1: "-h", 2: "-i", 10: "-1", 12: "-2"}


class Peer(peers.Peer):
    name = "s6"
    program = "s6-supervise"
    package = "s6"
    _services = 0

    def up(self, home: Path) -> None:
        super().up(home)
        (home / "scan").mkdir()
        # -c: so many services may be there. The default is 500.
        self._serve("s6-svscan", "-c", "20000", str(home / "scan"))
        peers.until((home / "scan/.s6-svscan/control").exists, "s6-svscan does not start")

    def down(self) -> None:
        self._call("s6-svscanctl", "-t", str(self.home / "scan"), check=False)
        super().down()

    def _service(self, number: int) -> Path:
        return self.home / "scan" / f"service{number}"

    def run_argv(self, command):
        self._services += 1
        service = self._service(self._services)
        service.mkdir()
        (service / "down").touch()
        peers.script(service / "run", command)
        self._call("s6-svscanctl", "-a", str(self.home / "scan"))
        peers.until((service / "supervise/status").exists, "s6-supervise does not start")
        return ["s6-svc", "-o", str(service)]

    def list_argv(self):
        # It tells of one at a time.
        return ["sh", "-c", 'for s in scan/*; do s6-svstat "$s"; done']

    def kill_argv(self, number: int):
        return ["s6-svc", SIGNALS[number], str(self._service(self._services))]
