"""Starting tasks, talking to them, and signalling them."""

from __future__ import annotations

import statistics

from measure import Bench, Contender, Work, milliseconds


def works(bench: Bench) -> list[Work]:
    return [run_returns(bench)]


def run_returns(bench: Bench) -> Work:
    count = bench.scaled(3, 20)

    def floor() -> float:
        return statistics.median(milliseconds(bench.timed(["/bin/true"], count, 0.002)))

    return Work("run-returns", "`bgtask run true` until it returns", "ms", "lower", "<= 2.0",
                [Contender("posix_spawn of /bin/true", "floor", floor)])
