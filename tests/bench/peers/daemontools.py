"""daemontools: a supervise for each service directory. svstat reads what they publish and asks nobody."""

from pathlib import Path

import peers

SIGNALS = {15: "-t", 9: "-k", 1: "-h", 2: "-i", 14: "-a"}


class Peer(peers.Peer):
    name = "daemontools"
    program = "supervise"
    package = "daemontools"
    _services = 0

    def up(self, home: Path) -> None:
        super().up(home)
        (home / "scan").mkdir()

    def _service(self, number: int) -> Path:
        return self.home / "scan" / f"service{number}"

    def run_argv(self, command):
        self._services += 1
        service = self._service(self._services)
        service.mkdir()
        (service / "down").touch()
        peers.script(service / "run", command)
        self._serve("supervise", str(service))  # as svscan would, which looks every 5 s and at no more than 1,000
        peers.until((service / "supervise/ok").exists, "supervise does not start")
        peers.until(lambda: (service / "supervise/status").exists(), "supervise does not start")
        return ["svc", "-o", str(service)]

    def list_argv(self):
        return ["sh", "-c", "svstat scan/*"]

    def kill_argv(self, number: int):
        return ["svc", SIGNALS[number], str(self._service(self._services))]
