"""The results as a picture."""

from pathlib import Path

import matplotlib
from matplotlib import pyplot

from benchmarks.report import Report
from benchmarks.suite import rate, ratio

__all__ = ["plot"]

matplotlib.use("Agg")


def plot(report: Report, path: Path) -> None:
    """Four pictures of a whole run: against floor and peers, speed by size, memory by size, and what slows down."""
    results = report.results
    figure, ((sides, sizes), (memory, effort)) = pyplot.subplots(2, 2, figsize=(12, 8.5), layout="constrained")
    names = [("inbound files", "floor"), ("inbound files", "pipeline")]
    names += [("inbound peers", side) for side in results.done["inbound peers"] if side != "pipeline"]
    bars = [(side, rate(results, name, side)) for name, side in names]
    drawn = sides.barh([name for name, _ in bars], [value for _, value in bars], color=_colours(bars))
    sides.bar_label(drawn, labels=[f" {value:,.0f}" for _, value in bars])
    sides.set(title="inbound, small files: orders a second", xscale="log", xlim=(1e2, 3e5))
    sides.invert_yaxis()
    for axes, value, title in (
        (sizes, lambda done: done.orders / done.seconds, "orders a second by the number of orders"),
        (memory, lambda done: done.peak_mb, "peak memory in MB by the number of orders"),
    ):
        for way in ("inbound", "outbound"):
            measured = [done[0] for done in results.done[f"size {way}"].values()]
            axes.plot([one.orders for one in measured], [value(one) for one in measured], marker="o", label=way)
        axes.set(title=title, xscale="log", ylim=(0, None))
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    labels, shares = [], []
    for name, unit in (("bad records", ""), ("repeats", ""), ("batches in flight", " in flight")):
        first, *_ = results.done[name]
        labels += [f"{side}{unit}" for side in results.done[name]]
        shares += [ratio(results, name, side, first) for side in results.done[name]]
    drawn = effort.barh(labels, shares)
    effort.bar_label(drawn, labels=[f" {share:.2f}" for share in shares])
    effort.set(title="speed by what there is to do (first of each kind = 1)", xlim=(0, max(shares) * 1.15))
    effort.invert_yaxis()
    machine = report.machine
    figure.suptitle(f"{machine.processor}, {machine.cores} cores, Python {machine.python}, mongod {machine.mongod}")
    figure.savefig(path, dpi=90)


def _colours(bars: list[tuple[str, float]]) -> list[str]:
    return ["tab:green" if name == "pipeline" else "tab:gray" if name == "floor" else "tab:blue" for name, _ in bars]
