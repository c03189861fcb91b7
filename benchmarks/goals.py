"""What is to be reached, and what a run of the suite says of each."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from benchmarks.suite import Results, ratio

__all__ = ["Reached", "reached"]


class Reached(Struct, frozen=True):
    """One goal, and what was measured."""

    work: str
    goal: str
    measured: str
    is_reached: bool


class _Goal(Struct, frozen=True):
    work: str
    limit: float
    measure: Callable[[Results], float]
    needs: str = ""
    """The experiment that it is told from; none: from starting."""
    sides: tuple[str, ...] = ()
    """Those of the experiment without which nothing can be told."""
    is_least: bool = False
    unit: str = " ×"

    @property
    def goal(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {self.limit:g}{self.unit}"

    def is_told(self, results: Results) -> bool:
        """Whether it was measured."""
        if not self.needs:
            return bool(results.starting)
        return self.needs in results.done and results.done[self.needs].keys() >= set(self.sides)

    def reached(self, results: Results) -> Reached:
        value = self.measure(results)
        is_reached = value >= self.limit if self.is_least else value <= self.limit
        return Reached(self.work, self.goal, f"{value:.2f}{self.unit}", is_reached)


def _faster(work: str, least: float, experiment: str, side: str, other: str) -> _Goal:
    """``side`` is at least so many times as fast as ``other``."""
    return _Goal(
        work, least, lambda results: ratio(results, experiment, side, other), experiment, (side, other), is_least=True
    )


def _flat(way: str) -> _Goal:
    """How much more memory the biggest size takes than 10,000 orders."""

    def growth(results: Results) -> float:
        peaks = [side[0].peak_mb for side in results.done[f"size {way}"].values()]
        return peaks[-1] - peaks[min(1, len(peaks) - 1)]  # a small scale has fewer sizes

    return _Goal(f"memory of a million orders {way}, over that of 10,000", 15, growth, f"size {way}", unit=" MB")


def _idle(results: Results) -> float:
    """Microseconds a file, of a whole run."""
    (done,) = results.done["idle"]["run"]
    return done.seconds / done.orders * 1e6


GOALS: Final = (
    _faster("inbound, small files, insert: against the floor", 0.85, "inbound files", "pipeline", "floor"),
    _faster("inbound, small files, two lanes: against the floor", 1.2, "inbound files", "2 lanes", "floor"),
    _faster("inbound, small files, insert: against the naive program", 20, "inbound peers", "pipeline", "naive"),
    _faster("inbound, NDJSON: against the floor", 1, "inbound lines", "pipeline", "floor"),
    _faster("inbound, NDJSON, two lanes: against the floor", 1.5, "inbound lines", "2 lanes", "floor"),
    _faster("inbound, NDJSON, two lanes: against insert_many", 0.85, "lines peers", "2 lanes", "insert_many"),
    _faster("inbound, repeats: against inserting them", 4, "repeats", "repeat", "insert"),
    _faster("outbound, durable files: against the floor", 1, "outbound files", "pipeline", "floor"),
    _faster("outbound, durable files, two lanes: against the floor", 1.2, "outbound files", "2 lanes", "floor"),
    _faster("outbound, durable files: against the naive program", 12, "outbound peers", "pipeline", "naive"),
    _faster("three-way merge of changed orders: against find + guarded update", 1.2, "merge", "pipeline", "floor"),
    _faster("three-way merge, two lanes: against find + guarded update", 1.5, "merge", "2 lanes", "floor"),
    _faster("Dask, two workers: against one process", 1.5, "engines", "Dask, 2 workers", "1 lane"),
    _faster("1 % bad records: against none", 0.7, "bad records", "1% bad", "0% bad"),
    _flat("inbound"),
    _flat("outbound"),
    _Goal("idle run, a file unread", 10, _idle, "idle", unit=" µs"),
    _Goal(
        "start to first order, over mongod's own start",
        0.3,
        lambda results: results.starting["to the first order"] - results.starting["mongod alone"],
        unit=" s",
    ),
    _Goal("CPU of --help", 0.25, lambda results: results.starting["cpu of --help"], unit=" s"),
)


def reached(results: Results) -> list[Reached]:
    """Each goal of which ``results`` tell."""
    return [goal.reached(results) for goal in GOALS if goal.is_told(results)]
