"""One picture for each work: a bar for each contender, with quartiles."""

from __future__ import annotations

from pathlib import Path

from measure import Goal, Outcome, Row

COLOURS = {"floor": "#8a8f98", "ours": "#1f77b4", "part": "#9ec3e0", "peer": "#e0b073", "constant": "#d9d9d9",
           "size": "#9ec3e0"}
FACTOR_FOR_LOG = 30


def draw(outcome: Outcome, rows: list[Row], directory: Path) -> bool:
    """False where nothing can be drawn: no matplotlib (it is imported here only), or nothing measured."""
    rows = [row for row in rows if row.value]
    try:
        import matplotlib
    except ImportError:
        print(f"    no matplotlib: {outcome.work.key}.svg is not drawn", flush=True)
        return False
    if not rows:
        return False
    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": outcome.work.key, "font.size": 9})
    from matplotlib import pyplot

    by_ratio = all(row.ratio for row in rows)
    spreads = [row.ratio if by_ratio else row.value for row in rows]
    medians = [spread.median for spread in spreads]
    errors = [[s.median - s.first for s in spreads], [s.third - s.median for s in spreads]]
    figure, axes = pyplot.subplots(figsize=(7.5, 0.8 + 0.32 * len(rows)))
    places = range(len(rows))
    axes.barh(places, medians, xerr=errors, height=0.66, color=[COLOURS[row.contender.kind] for row in rows],
              error_kw={"ecolor": "#333333", "elinewidth": 1, "capsize": 2})
    axes.set_yticks(list(places), [row.contender.name for row in rows])
    axes.invert_yaxis()
    positive = [median for median in medians if median > 0]
    if positive and max(positive) / min(positive) > FACTOR_FOR_LOG:
        axes.set_xscale("log")
    for place, row, spread in zip(places, rows, spreads):
        label = f"{spread.median:.3g} ×" if by_ratio else f"{spread.median:.4g}"
        axes.annotate(label, (spread.third, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
    goal = Goal.of(outcome.work)
    if goal and goal.of_ratio == by_ratio:
        axes.axvline(goal.bound, color="#2ca02c", linestyle="--", linewidth=1)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"{outcome.work.unit}, as a ratio to the floor" if by_ratio else outcome.work.unit)
    axes.set_title(outcome.work.title.replace("`", "") + f" ({outcome.work.better} is better)", fontsize=10, loc="left")
    figure.tight_layout()
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / f"{outcome.work.key}.svg", metadata={"Date": None})
    pyplot.close(figure)
    return True
