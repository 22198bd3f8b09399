"""What the system that bgtask replaces was measured to take, once, on a machine like this one."""

from measure import Contender

SOURCE = "RapidApp BgTask, measured once, Debian 12, 2 cores"


def constant(value: float, spoken: str) -> Contender:
    return Contender("RapidApp BgTask", "constant", lambda: value, note=f"{spoken} ({SOURCE})")
