"""The results as a picture."""

from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.report import Report
from benchmarks.suite import Results, rate, ratio

__all__ = ["plot"]

matplotlib.use("Agg")


def plot(report: Report, path: Path) -> None:
    """Six pictures of a whole run: against floor and peers, in lanes, speed and memory by size, and what slows down."""
    results = report.results
    figure, ((files, lines), (lanes, effort), (sizes, memory)) = pyplot.subplots(
        3, 2, figsize=(12, 13), layout="constrained"
    )
    names = [("inbound files", side) for side in results.done["inbound files"]]
    names += [("inbound peers", side) for side in results.done["inbound peers"] if side != "pipeline"]
    _rates(files, "inbound, small files", results, names)
    _rates(lines, "inbound, NDJSON", results, [("lines peers", side) for side in results.done["lines peers"]])
    works = [name for name in ("inbound files", "inbound lines", "merge", "outbound files") if name in results.done]
    measured = [(name, side) for name in works for side in results.done[name] if side != "floor"]
    shares = {f"{name}, {side}": ratio(results, name, side, "floor") for name, side in measured}
    _shares(lanes, "speed against the floor (= 1)", shares)
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
    shares = {}
    for name, unit in (("bad records", ""), ("repeats", ""), ("batches in flight", " in flight")):
        first, *_ = results.done[name]
        shares |= {f"{side}{unit}": ratio(results, name, side, first) for side in results.done[name]}
    _shares(effort, "speed by what there is to do (the first = 1)", shares)
    machine = report.machine
    figure.suptitle(f"{machine.processor}, {machine.cores} cores, Python {machine.python}, mongod {machine.mongod}")
    figure.savefig(path, dpi=90)


def _rates(axes: Axes, title: str, results: Results, names: list[tuple[str, str]]) -> None:
    values = [rate(results, experiment, side) for experiment, side in names]
    sides = [side for _, side in names]
    drawn = axes.barh(sides, values, color=[_colour(side) for side in sides])
    axes.bar_label(drawn, labels=[f" {value:,.0f}" for value in values])
    axes.set(title=f"{title}: orders a second", xscale="log", xlim=(1e2, 3e5))
    axes.invert_yaxis()


def _shares(axes: Axes, title: str, shares: dict[str, float]) -> None:
    drawn = axes.barh(list(shares), list(shares.values()))
    axes.bar_label(drawn, labels=[f" {share:.2f}" for share in shares.values()])
    axes.set(title=title, xlim=(0, max(shares.values()) * 1.15))
    axes.invert_yaxis()


def _colour(side: str) -> str:
    if side == "floor":
        return "tab:gray"
    return "tab:green" if side == "pipeline" or side.endswith(("lane", "lanes")) else "tab:blue"
