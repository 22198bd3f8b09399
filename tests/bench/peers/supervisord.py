"""supervisord: one daemon for all programs of its configuration."""

import shlex
from pathlib import Path

import peers

CONFIGURATION = """[unix_http_server]
file={home}/socket
[supervisord]
logfile={home}/log
pidfile={home}/pid
childlogdir={home}
nodaemon=true
minfds=4096
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{home}/socket
[include]
files={home}/*.program
"""

PROGRAM = """[program:{name}]
command={command}
autostart=false
autorestart=false
startsecs=0
stdout_logfile={home}/{name}.out
stderr_logfile={home}/{name}.err
"""


class Peer(peers.Peer):
    name = "supervisord"
    program = "supervisord"
    package = "supervisor"
    _programs = 0

    def up(self, home: Path) -> None:
        super().up(home)
        (home / "conf").write_text(CONFIGURATION.format(home=home))
        self._serve("supervisord", "-c", str(home / "conf"))
        peers.until((home / "socket").exists, "supervisord does not start")

    def _control(self, *argv: str) -> list[str]:
        return ["supervisorctl", "-c", str(self.home / "conf"), *argv]

    def define(self, command: list[str], count: int, autostart: bool = False) -> None:
        """So many programs at once, since each change of the configuration takes long."""
        for _ in range(count):
            self._programs += 1
            name = f"program{self._programs}"
            words = " ".join(shlex.quote(word.replace("%", "%%")) for word in command)
            text = PROGRAM.format(name=name, command=words, home=self.home)
            if autostart:
                text = text.replace("autostart=false", "autostart=true")
            (self.home / f"{name}.program").write_text(text)
        self._call(*self._control("update"))

    def run_argv(self, command):
        self.define(command, 1)
        return self._control("start", f"program{self._programs}")

    def list_argv(self):
        return self._control("status")

    def kill_argv(self, number: int):
        return self._control("signal", str(number), f"program{self._programs}")

    def output(self):
        return self.home / f"program{self._programs}.out"

    def _is_own(self, pid: int) -> bool:  # a Python program
        return self._servers and pid == self._servers[0].pid
