"""conmon: a monitor for each container. Its runtime is replaced by a small program that starts the command and nothing
more, so conmon itself is what is measured. It returns before the command runs."""

from pathlib import Path

import peers


class Peer(peers.Peer):
    name = "conmon"
    program = "conmon"
    package = "conmon"
    with_log = True
    _bundles = 0

    def run_argv(self, command):
        self._bundles += 1
        cid = f"c{self._bundles}"
        bundle = self.home / cid
        bundle.mkdir()
        (bundle / "command").write_bytes(b"".join(word.encode() + b"\0" for word in command))
        log = f"k8s-file:{bundle}/log" if self.with_log else "none"
        return ["conmon", "-c", cid, "-u", cid, "-n", cid, "-b", str(bundle), "-p", str(bundle / "pid"), "-l", log,
                "-r", str(self.bench.program("conmon_runtime")), "--persist-dir", str(bundle), "--exit-dir", str(bundle),
                "--socket-dir-path", str(bundle), "--no-sync-log", "--no-new-keyring", "--full-attach"]

    def output(self) -> Path | None:
        return self.home / f"c{self._bundles}" / "log" if self.with_log else None
