"""Starting tasks, talking to them, and signalling them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import asking  # noqa: E402
import starting  # noqa: E402
from measure import Bench, Work  # noqa: E402


def works(bench: Bench) -> list[Work]:
    return [
        starting.run_returns(bench),
        starting.run_first(bench),
        starting.spawn(bench),
        asking.asking(bench, "ping", "<= 1.3", pinned=False),
        asking.asking(bench, "ping", "<= 1.3", pinned=True),
        asking.asking(bench, "info", "<= 1.6", pinned=False),
        asking.asking(bench, "info", "<= 1.6", pinned=True),
        asking.kill(bench),
    ]
