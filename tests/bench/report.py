"""Tables and plots of outcomes, put between the marks of performance.md."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
from pathlib import Path

import plot
from measure import HERE, Goal, Outcome, Row, Spread

SKELETON = HERE.parents[1] / "docs" / "performance.md"
SUMMARY_HEAD = ("| work | unit | floor | bgtask | ratio | goal | | best peer | its ratio |\n"
                "|---|---|---:|---:|---:|---|---|---|---:|")


def number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def spread(value: Spread | None) -> str:
    if value is None:
        return ""
    if value.first == value.third:
        return number(value.median)
    return f"{number(value.median)} ({number(value.first)}–{number(value.third)})"


def goal_words(goal: str) -> str:
    return goal.replace("<=", "≤").replace(">=", "≥")


def verdict(row: Row) -> str:
    return {None: "", True: "met", False: "missed"}[row.goal_met]


def sorted_rows(outcome: Outcome) -> list[Row]:
    """The floor first, the rest from the best to the worst, what failed last."""
    floors = [row for row in outcome.rows if row.contender.kind == "floor"]
    rest = [row for row in outcome.rows if row.contender.kind != "floor"]
    sign = 1 if outcome.work.better == "lower" else -1
    return floors + sorted(rest, key=lambda row: sign * row.value.median if row.value else float("inf"))


def text(outcome: Outcome) -> str:
    """For a terminal."""
    lines = []
    for row in sorted_rows(outcome):
        c = row.contender
        if row.value is None:
            lines.append(f"  {c.name:34} failed: {row.failure}")
            continue
        ratio = f"{spread(row.ratio)} x" if row.ratio else ""
        lines.append(f"  {c.name:34} {spread(row.value):>24} {outcome.work.unit:8} {ratio:26} {verdict(row)}".rstrip())
    return "\n".join(lines)


def table(outcome: Outcome) -> str:
    work = outcome.work
    has_ratio = any(row.ratio for row in outcome.rows)
    lines = [f"| | {work.unit} |" + (" ratio to the floor |" if has_ratio else "") + " goal |",
             "|---|---:|" + ("---:|" if has_ratio else "") + "---|"]
    for row in sorted_rows(outcome):
        c = row.contender
        name = {"floor": f"*{c.name}* (floor)", "ours": f"**{c.name}**", "constant": f"{c.name} (constant)"}.get(c.kind, c.name)
        if row.value is None:
            lines.append(f"| {name} | failed |" + (" |" if has_ratio else "") + " |")
            continue
        goal = f"{goal_words(work.goal)}: {verdict(row)}" if row.goal_met is not None else ""
        lines.append(f"| {name} | {spread(row.value)} |" + (f" {spread(row.ratio)} |" if has_ratio else "") + f" {goal} |")
    if Goal.of(work) is None and work.goal:
        lines += ["", f"Goal: {goal_words(work.goal)}."]
    notes = [f"{row.contender.name}: {row.failure or row.contender.note}" for row in sorted_rows(outcome)
             if row.failure or row.contender.note]
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines)


def best(outcome: Outcome, kind: str) -> Row | None:
    return next((row for row in sorted_rows(outcome) if row.contender.kind == kind and row.value), None)


def summary_row(outcome: Outcome) -> str:
    work = outcome.work
    floor, peer = best(outcome, "floor"), best(outcome, "peer")
    ours = next((row for row in outcome.rows if row.contender.kind == "ours" and row.value), None)

    def cell(row: Row | None) -> str:
        return number(row.value.median) if row else ""

    def ratio(row: Row | None) -> str:
        return spread(row.ratio) if row and row.ratio else ""

    goal = goal_words(work.goal) if Goal.of(work) else "stated"
    return (f"| {work.key} | {work.unit} | {cell(floor)} | {cell(ours)} | {ratio(ours)} | {goal} "
            f"| {verdict(ours) if ours else 'failed'} | {peer.contender.name if peer else '–'} | {ratio(peer)} |")


def merged_summary(outcomes: list[Outcome], block: str) -> str:
    """Rows of works that were not measured this time stay."""
    rows = {key: line for line in block.splitlines() if (key := _key_of(line))}
    for outcome in outcomes:
        rows[outcome.work.key] = summary_row(outcome)
    return "\n".join([SUMMARY_HEAD, *rows.values()])


def _key_of(line: str) -> str | None:
    match = re.match(r"\| ([a-z0-9-]+) \|", line)
    return match[1] if match and line != SUMMARY_HEAD.splitlines()[0] else None


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def circumstances(seed: int, rounds: int) -> str:
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return (f"{datetime.date.today().isoformat()}, {release}, Linux {platform.release()}, "
            f"{os.cpu_count()} cores of {processor()}, {rounds} rounds, seed {seed}.")


def fill(document: str, key: str, content: str, title: str) -> str:
    """The document with the block of that key replaced, or appended where there is none."""
    begin, end = f"<!-- begin: {key} -->", f"<!-- end: {key} -->"
    block = f"{begin}\n{content}\n{end}"
    if begin not in document:
        return document.rstrip("\n") + f'\n\n<a id="{key}"></a>\n## {title}\n\n{block}\n'
    head, rest = document.split(begin, 1)
    _, tail = rest.split(end, 1)
    return head + block + tail


def block_of(document: str, key: str) -> str:
    match = re.search(rf"<!-- begin: {key} -->\n(.*?)<!-- end: {key} -->", document, re.DOTALL)
    return match[1] if match else ""


def write(outcomes: list[Outcome], directory: Path, run: str | None) -> None:
    """Into the page of that directory: what was measured, and `run`, the circumstances of a run of all works."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "performance.md"
    if not path.exists() and SKELETON.exists():
        shutil.copy(SKELETON, path)
    document = path.read_text() if path.exists() else "# Performance\n"
    if run:
        document = fill(document, "circumstances", run, "Measured")
    document = fill(document, "summary", merged_summary(outcomes, block_of(document, "summary")), "All works")
    for outcome in outcomes:
        content = table(outcome)
        if outcome.work.plot and plot.draw(outcome, sorted_rows(outcome), directory / "performance"):
            content += f"\n\n![{outcome.work.title.replace('`', '')}](performance/{outcome.work.key}.svg)"
        document = fill(document, outcome.work.key, content, outcome.work.title)
    path.write_text(document)
    print(f"\nwritten: {path}", flush=True)
