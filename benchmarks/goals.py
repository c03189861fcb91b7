"""What is to be reached, and what a run of the suite says of each."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from benchmarks.suite import Results, rate, ratio

__all__ = ["Reached", "reached"]


class Reached(Struct, frozen=True):
    """One goal, and what was measured."""

    work: str
    goal: str
    measured: str
    is_reached: bool


class _Goal(Struct, frozen=True):
    work: str
    goal: str
    needs: str
    """The experiment that it is told from."""
    measure: Callable[[Results], float]
    least: float | None = None
    most: float | None = None
    unit: str = " ×"


def _peak(results: Results, experiment: str) -> float:
    """How much more memory the biggest size takes than 10,000 orders, in MB."""
    peaks = [side[0].peak_mb for side in results.done[experiment].values()]
    return peaks[-1] - peaks[1]


def _naive_inbound(results: Results) -> float:
    return rate(results, "inbound files", "pipeline") / rate(results, "inbound peers", "naive")


def _idle(results: Results) -> float:
    """Microseconds a file, of a whole run."""
    (done,) = results.done["idle"]["run"]
    return done.seconds / done.orders * 1e6


GOALS: Final = (
    _Goal(
        "inbound, small files, insert: against the floor",
        "≥ 1.1 ×",
        "inbound files",
        lambda r: ratio(r, "inbound files", "pipeline", "floor"),
        1.1,
    ),
    _Goal("inbound, small files, insert: against the naive program", "≥ 20 ×", "inbound peers", _naive_inbound, 20),
    _Goal(
        "inbound, NDJSON: against the floor",
        "≥ 1.1 ×",
        "inbound lines",
        lambda r: ratio(r, "inbound lines", "pipeline", "floor"),
        1.1,
    ),
    _Goal(
        "inbound, repeats: against inserting them",
        "≥ 4 ×",
        "repeats",
        lambda r: ratio(r, "repeats", "repeat", "insert"),
        4,
    ),
    _Goal(
        "outbound, durable files: against the floor",
        "≥ 1.1 ×",
        "outbound files",
        lambda r: ratio(r, "outbound files", "pipeline", "floor"),
        1.1,
    ),
    _Goal(
        "outbound, durable files: against the naive program",
        "≥ 12 ×",
        "outbound peers",
        lambda r: ratio(r, "outbound peers", "pipeline", "naive"),
        12,
    ),
    _Goal(
        "three-way merge of changed orders: against find + guarded update",
        "≥ 0.9 ×",
        "merge",
        lambda r: ratio(r, "merge", "pipeline", "floor"),
        0.9,
    ),
    _Goal(
        "1 % bad records: against none",
        "≥ 0.7 ×",
        "bad records",
        lambda r: ratio(r, "bad records", "1% bad", "0% bad"),
        0.7,
    ),
    _Goal(
        "memory of the most orders inbound, over 10,000",
        "≤ 15 MB",
        "size inbound",
        lambda r: _peak(r, "size inbound"),
        most=15,
        unit=" MB",
    ),
    _Goal(
        "memory of the most orders outbound, over 10,000",
        "≤ 15 MB",
        "size outbound",
        lambda r: _peak(r, "size outbound"),
        most=15,
        unit=" MB",
    ),
    _Goal("idle run, a file unread", "< 3 µs", "idle", _idle, most=3, unit=" µs"),
    _Goal(
        "start to first order, over mongod's own start",
        "≤ 0.3 s",
        "",
        lambda r: r.starting["to the first order"] - r.starting["mongod alone"],
        most=0.3,
        unit=" s",
    ),
    _Goal("CPU of --help", "< 0.25 s", "", lambda r: r.starting["cpu of --help"], most=0.25, unit=" s"),
)


def reached(results: Results) -> list[Reached]:
    """Each goal of which ``results`` tell."""
    told = []
    for goal in GOALS:
        if goal.needs in results.done or (not goal.needs and results.starting):
            value = goal.measure(results)
            is_reached = (goal.least is None or value >= goal.least) and (goal.most is None or value <= goal.most)
            told.append(Reached(goal.work, goal.goal, f"{value:.2f}{goal.unit}", is_reached))
    return told
