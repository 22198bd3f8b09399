"""Many tasks at once: what an idle one costs, and what it costs to find some among many."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import finding  # noqa: E402
import idle  # noqa: E402
import scaling  # noqa: E402
from measure import Bench, Work  # noqa: E402


def works(bench: Bench) -> list[Work]:
    return [
        idle.private_memory(bench),
        idle.page_tables(bench),
        idle.kernel_memory(bench),
        idle.descriptors(bench),
        idle.wake_ups(bench),
        finding.ls(bench),
        finding.search(bench),
        finding.nested(bench, bench.scaled(20, 1000)),
        *([] if bench.quick else [finding.nested(bench, 10_000)]),
        *scaling.works(bench),
    ]
