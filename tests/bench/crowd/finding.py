"""Listing and searching a crowd. A search reads files and wakes nobody, which every sample here makes sure of."""

from __future__ import annotations

import json
import statistics

from idle import SOURCE
from measure import Bench, Contender, Work, milliseconds
from tasks import Crowd, PeerCrowd, plain_environment, switches

ALL = {"status": {"running": 1}}
NESTED = {"meta": {"team": "web", "progress": {"phase": "idle", "percent": "50"}}, "status": {"running": True}}
PEERS = ("task_spooler", "daemontools", "runit", "tmux", "supervisord", "pm2")
MOST = {"task_spooler": 980, "pm2": 100}  # what its server has room for; what can be started within minutes


def asleep(crowd: Crowd, sample):
    """The sample, and an error if any supervisor was woken by it."""
    def watched() -> float:
        before = switches(crowd.pids)
        value = sample()
        if (woken := switches(crowd.pids) - before) > 0:
            raise RuntimeError(f"{woken} wake-ups of supervisors")
        return value
    return watched


def reading(bench: Bench, crowd: Crowd, times: int) -> float:
    """Seconds to read all status files within a process that runs already."""
    files, size, seconds = bench.checked([bench.program("read_files"), crowd.pool, str(times)]).split()
    if int(files) != crowd.count or int(size) < 500 * crowd.count:
        raise RuntimeError(f"{files} files of {size} bytes")
    return float(seconds)


def searching(bench: Bench, crowd: Crowd, pattern: dict, expected: int, times: int) -> float:
    found, seconds = bench.checked([bench.program("search_probe"), crowd.pool, json.dumps(pattern), str(times)]).split()
    if int(found) != expected:
        raise RuntimeError(f"{found} tasks found, not {expected}")
    return float(seconds)


def ls(bench: Bench) -> Work:
    crowd = Crowd(bench, bench.scaled(20, 1000))
    times = bench.scaled(2, 10)

    def median(argv: list) -> float:
        return statistics.median(milliseconds(bench.timed(argv, times, 0.01, env=plain_environment())))

    def ours() -> float:
        if (lines := len(crowd.command("ls").splitlines())) != crowd.count + 1:
            raise RuntimeError(f"{lines} lines")
        return median([bench.bgtask, "--pool", crowd.pool, "ls"])

    contenders = [
        Contender("bgtask", "ours", asleep(crowd, ours), crowd.up, crowd.down, note="the table"),
        Contender("reading as many small files", "floor", lambda: median([bench.program("read_files"), crowd.pool]),
                  note="the same status files, by a static program in C"),
    ]
    for name in PEERS:
        if peer := bench.peer(name):
            contenders.append(_peer_list(bench, peer, min(crowd.count, MOST.get(name, crowd.count))))
    if not bench.quick:
        contenders.append(Contender("the original system", "constant", lambda: 1000.0,
                                    note=f"{SOURCE}: 92–126 ms for 100 tasks, about 1 ms a task"))
    return Work("ls", f"`ls` of {crowd.count:,} tasks, whole command", "ms", "lower", "<= 2.0", contenders)


def _peer_list(bench: Bench, peer, count: int) -> Contender:
    crowd = PeerCrowd(bench, peer, count)

    def sample() -> float:
        lines = len(bench.checked(peer.list_argv(), env=peer.environment(), cwd=peer.home).splitlines())
        if lines < count:
            raise RuntimeError(f"{lines} lines for {count} tasks")
        return statistics.median(milliseconds(bench.timed(peer.list_argv(), 3, 0.01, env=peer.environment(), cwd=peer.home)))

    return Contender(peer.name, "peer", sample, crowd.up, crowd.down,
                     note=peer.version() + (f", {count} tasks" if count in MOST.values() else ""))


def search(bench: Bench) -> Work:
    crowd = Crowd(bench, bench.scaled(20, 1000))
    times = bench.scaled(2, 20)

    return Work("search", f"library search that finds all of {crowd.count:,} tasks", "ms", "lower", "<= 1.5",
                [Contender("bgtask", "ours", asleep(crowd, lambda: 1e3 * searching(bench, crowd, ALL, crowd.count, times)),
                           crowd.up, crowd.down, note=f"pattern {json.dumps(ALL)}, in a running process"),
                 Contender("reading as many small files", "floor", lambda: 1e3 * reading(bench, crowd, times),
                           note="in a running process, too")])


def nested(bench: Bench, count: int) -> Work:
    crowd = Crowd(bench, count)
    times = bench.scaled(2, 10)
    expected = sum(1 for i in range(count) if i % 10 == 0 and i % 100 == 50)

    def ours() -> float:
        return 1e6 * searching(bench, crowd, NESTED, expected, times) / count

    return Work(f"search-nested-{count}", f"search of {count:,} tasks by a nested pattern", "µs/task", "lower",
                "the same per task at both sizes, and no supervisor is woken",
                [Contender("bgtask", "ours", asleep(crowd, ours), crowd.up, crowd.down, note=f"pattern {json.dumps(NESTED)}"),
                 Contender("reading as many small files", "floor", lambda: 1e6 * reading(bench, crowd, times) / count),
                 Contender("the original system", "constant", lambda: 1000.0, note=SOURCE)])
