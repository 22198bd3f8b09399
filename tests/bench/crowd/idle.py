"""What an idle task costs: memory, descriptors, wake-ups."""

from __future__ import annotations

import statistics
import time
from typing import Callable

from measure import Bench, Contender, Work
from tasks import Bare, Crowd, PeerCrowd, descriptors as descriptors_of, kernel_kib, private_kib, status_field, switches

PEERS = ("runit", "nq", "dtach", "s6", "daemontools", "conmon", "tmux", "task_spooler", "supervisord", "pm2")
SOURCE = "RapidApp BgTask, measured once, Debian 12, 2 cores"


def original(value: float) -> Contender:
    return Contender("the original system", "constant", lambda: value, note=SOURCE)


def per_process(bench: Bench, measure: Callable[[int], float], peers: bool) -> list[Contender]:
    """The floors, we, and the others, each with as many idle tasks; the mean over their own processes."""
    ours = Crowd(bench, bench.scaled(20, 1000))
    contenders = [Contender("bgtask", "ours", lambda: statistics.fmean(map(measure, ours.pids)), ours.up, ours.down,
                            note=f"{ours.count} tasks")]
    for kind, name, title in (("floor", "bare_c", "bare supervisor in C, static"),
                              ("floor", "bare_cxx", "bare supervisor in C++ over libuv, static")):
        bare = Bare(bench, name, bench.scaled(5, 100))
        contenders.append(Contender(title, kind, lambda bare=bare: statistics.fmean(map(measure, bare.pids)), bare.up, bare.down))
    for name in PEERS if peers else ():
        if peer := bench.peer(name):
            contenders.append(_peer(bench, peer, measure))
    return contenders


def _peer(bench: Bench, peer, measure: Callable[[int], float]) -> Contender:
    crowd = PeerCrowd(bench, peer, 20 if peer.name == "pm2" else 100)

    def sample() -> float:
        return sum(map(measure, peer.processes())) / crowd.count

    return Contender(peer.name, "peer", sample, crowd.up, crowd.down, note=f"{peer.version()}, {crowd.count} tasks")


def private_memory(bench: Bench) -> Work:
    contenders = per_process(bench, private_kib, peers=True)
    return Work("idle-memory", "private memory of an idle task", "KiB", "lower", "<= 90 KiB", [*contenders, original(39.5 * 1024)])


def page_tables(bench: Bench) -> Work:
    return Work("idle-page-tables", "page tables of an idle supervisor", "KiB", "lower", "stated",
                per_process(bench, lambda pid: status_field(pid, "VmPTE"), peers=False), plot=False)


def descriptors(bench: Bench) -> Work:
    return Work("idle-descriptors", "descriptors of an idle supervisor", "count", "lower", "stated",
                per_process(bench, descriptors_of, peers=True), plot=False)


def kernel_memory(bench: Bench) -> Work:
    """What a task takes beside the memory of processes, that of its command included: /proc/meminfo before and after."""
    count = bench.scaled(20, 1000)

    def growth(crowd) -> float:
        before = kernel_kib()
        try:
            crowd.up()
            after = kernel_kib()
        finally:
            crowd.down()
        parts = {name: (after[name] - before[name]) / count for name in after}
        print("      per task: " + ", ".join(f"{name} {kib:.0f}" for name, kib in parts.items()) + " KiB", flush=True)
        return sum(parts.values())

    return Work("idle-kernel", "kernel memory and files of an idle task, with its command", "KiB", "lower", "stated",
                [Contender("bgtask", "ours", lambda: growth(Crowd(bench, count))),
                 Contender("bare supervisor in C, static", "floor", lambda: growth(Bare(bench, "bare_c", count)))], plot=False)


def wake_ups(bench: Bench) -> Work:
    seconds = bench.scaled(1, 60)
    ours = Crowd(bench, bench.scaled(20, 1000))

    def sample() -> float:
        before = switches(ours.pids)
        time.sleep(seconds)
        return switches(ours.pids) - before

    done: list[float] = []

    def once() -> float:  # a minute is enough
        if not done:
            done.append(sample())
        return done[0]

    return Work("idle-wake-ups", f"wake-ups of {ours.count:,} idle tasks in {seconds} s", "wake-ups", "lower", "<= 0 wake-ups",
                [Contender("bgtask", "ours", once, ours.up, ours.down, note="one run: context switches of all supervisors")],
                plot=False)
