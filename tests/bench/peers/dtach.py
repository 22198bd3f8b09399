"""dtach: a terminal for a command, with a process for each."""

import peers


class Peer(peers.Peer):
    name = "dtach"
    program = "dtach"
    package = "dtach"
    _sockets = 0

    def run_argv(self, command):
        # The one command line serves many runs, as each socket is gone with its command.
        self._sockets += 1
        return ["dtach", "-n", f"s{self._sockets}", *command]
