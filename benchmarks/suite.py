"""All comparisons: which sides, on how many orders, what lies there before; measured A B A B."""

import os
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from benchmarks import starting
from benchmarks.cluster import cluster, free_address
from benchmarks.place import Place, fill_with_files, fill_with_lines
from benchmarks.sides import PATHWAY, Side, file_peers, line_peers, waiting, with_lanes
from benchmarks.task import Done, Task, carry_out

__all__ = ["Experiment", "Results", "Suite", "rate", "ratio"]


class Experiment(Struct, frozen=True):
    """Sides that are measured in turns, each in a new place."""

    name: str
    sides: Mapping[str, Side]
    rounds: int
    beside: Callable[[], AbstractContextManager[object]] = nullcontext
    """What is there meanwhile; its start is not measured."""


class Results(Struct):
    """By experiment and side, what was measured, a Done a round."""

    done: dict[str, dict[str, list[Done]]] = field(default_factory=dict)
    starting: dict[str, float] = field(default_factory=dict)
    """Seconds that starting takes, and its parts."""


def rate(results: Results, experiment: str, side: str) -> float:
    """Orders per second, the median of the rounds."""
    return statistics.median(one.orders / one.seconds for one in results.done[experiment][side])


def ratio(results: Results, experiment: str, side: str, other: str) -> float:
    """How many times as fast as ``other``: the median of the rounds' ratios."""
    pairs = zip(results.done[experiment][side], results.done[experiment][other], strict=False)
    return statistics.median((a.orders / a.seconds) / (b.orders / b.seconds) for a, b in pairs)


class Suite:
    """Measures on the server at ``uri``, in ``root``; ``scale`` makes all of it smaller.

    ``pathway`` is the Python that has pathway, which is left out where there is none.
    """

    def __init__(self, uri: str, root: Path, *, scale: float = 1.0, rounds: int = 3, pathway: Path = PATHWAY) -> None:
        self._uri, self._root, self._scale, self._rounds = uri, root, scale, rounds
        self._pathway = pathway
        self._numbers = count()

    def run(self, tell: Callable[[str], None], only: str = "") -> Results:
        """Measure everything whose name begins with ``only``; ``tell`` hears how far it is."""
        results = Results()
        for experiment in self.experiments():
            if experiment.name.startswith(only):
                results.done[experiment.name] = self.measure(experiment, tell)
        if "start".startswith(only):
            tell("start")
            results.starting = starting.measure(self._root / "start", rounds=self._rounds)
        return results

    def experiments(self) -> Iterator[Experiment]:
        """In the order in which they are measured; lanes are in all with a floor."""
        for experiment in self.basic(self._orders(100_000)):
            yield replace(experiment, sides=with_lanes(experiment.sides))
        yield from self._inbound()
        yield from self._outbound()
        if find_spec("distributed"):
            yield self._engines()
        yield from self._curves()
        yield from self._idle()

    def basic(self, n: int) -> Iterator[Experiment]:
        """The pipeline and the floor, both ways, with ``n`` small files."""
        files = self._files(n)
        inbound = {"floor": Side("floor.inbound_files", n, files), "pipeline": Side("ours.inbound", n, files)}
        yield Experiment("inbound files", inbound, self._rounds)
        outbound = {"floor": waiting("floor.outbound_files", n), "pipeline": waiting("ours.outbound", n)}
        yield Experiment("outbound files", outbound, self._rounds)

    def _inbound(self) -> Iterator[Experiment]:
        n, few, rounds = self._orders(100_000), self._orders(5_000), self._rounds
        files, some = self._files(n), self._files(few)
        yield Experiment("inbound peers", {"pipeline": Side("ours.inbound", n, files), **file_peers(few, some)}, rounds)
        lines = self._lines(n)
        beside = with_lanes({"pipeline": Side("ours.inbound", n, lines)})
        beside["floor"] = Side("floor.inbound_lines", n, lines)
        yield Experiment("lines peers", beside | line_peers(n, lines, self._pathway), rounds)
        million = self._orders(1_000_000)
        lines = self._lines(million)
        sides = {"floor": Side("floor.inbound_lines", million, lines), "pipeline": Side("ours.inbound", million, lines)}
        yield Experiment("inbound lines", with_lanes(sides), rounds)
        yield Experiment("repeats", self._known(files, n), rounds)
        yield self._merge(n, files)
        yield Experiment("bad records", {f"{bad:.0%} bad": self._bad(n, bad) for bad in (0, 0.01, 0.1, 0.5)}, rounds)

    def _outbound(self) -> Iterator[Experiment]:
        n, few = self._orders(100_000), self._orders(5_000)
        sides = {
            "pipeline": waiting("ours.outbound", n),
            "naive": waiting("peers.naive_outbound", few),
            "floor of one NDJSON file": waiting("floor.outbound_lines", n),
        }
        yield Experiment("outbound peers", sides, self._rounds)
        million = self._orders(1_000_000)
        some = million // 100
        sides = {
            "1 % of many": waiting("ours.outbound", some, among=million),
            "alone": waiting("ours.outbound", some),
        }
        yield Experiment("backlog", sides, 1)

    def _engines(self) -> Experiment:
        """One process beside a cluster of two workers: on one machine that shows what the way to them costs."""
        n = self._orders(100_000)
        address, alone = free_address(), Side("ours.run_inbound", n, self._lines(n), options={"workers": 1})
        sides = {"1 lane": alone, "Dask, 2 workers": replace(alone, options={"engine": address})}
        return Experiment("engines", sides, self._rounds, lambda: cluster(self._root, address, 2))

    def _curves(self) -> Iterator[Experiment]:
        sizes = [self._orders(size) for size in (1_000, 10_000, 100_000, 1_000_000)]
        yield Experiment(
            "size inbound",
            {f"{n:,}": Side("ours.inbound", n, self._lines(n)) for n in dict.fromkeys(sizes)},
            1,
        )
        yield Experiment(
            "size outbound",
            {f"{n:,}": waiting("ours.outbound", n) for n in dict.fromkeys(sizes)},
            1,
        )
        n = self._orders(100_000)
        files = self._files(n)
        sizes = [50, 100, 250, 500, 1000, 2000]
        batches = {f"{size}": Side("ours.inbound", n, files, options={"batch": size}) for size in sizes}
        yield Experiment("batch size", batches, 2)
        flight = {f"{k}": Side("ours.inbound", n, files, options={"in_flight": k}) for k in (1, 2, 3, 4)}
        yield Experiment("batches in flight", flight, 2)

    def _idle(self) -> Iterator[Experiment]:
        files, documents = self._orders(100_000), self._orders(1_000_000)
        folder = self._files(files)

        def settled(place: Place) -> None:
            place.with_documents(documents, unsynced=0)
            self._do(Side("ours.inbound", files, folder, options={"remembers": True}), place)

        options = {"remembers": True}
        idle = Side("ours.both", files, folder, prepare=settled, options=options, stored=documents)
        yield Experiment("idle", {"run": idle}, 1)

    def _known(self, files: str, n: int) -> dict[str, Side]:
        """Sides of which none, half or all of the orders are known already, from the same files."""
        half = Side("ours.inbound", n // 2, self._files(n // 2))
        all_of_it = Side("ours.inbound", n, files)
        remembered = replace(all_of_it, options={"remembers": True})
        return {
            "insert": all_of_it,
            "half known": replace(all_of_it, prepare=lambda place: self._do(half, place)),
            "all known, read again": replace(all_of_it, prepare=lambda place: self._do(all_of_it, place)),
            "repeat": replace(remembered, prepare=lambda place: self._do(remembered, place)),
        }

    def _merge(self, n: int, before: str) -> Experiment:
        """All orders were edited by the client (title), and in TracOS (another field, of which nothing is sent)."""
        after = self._files(n, edition=1)

        def loaded(place: Place) -> None:
            self._do(Side("ours.inbound", n, before), place)
            place.orders.update_many({}, {"$set": {"description": "Two bearings were changed", "isSynced": False}})

        sides = {
            "floor": Side("floor.merge_files", n, after, loaded, indexes="pipeline"),
            "pipeline": Side("ours.inbound", n, after, loaded),
        }
        return Experiment("merge", with_lanes(sides), self._rounds)

    def _bad(self, n: int, bad: float) -> Side:
        """Lines of which some are no order."""
        return Side("ours.inbound", n, self._lines(n, bad=bad), stored=n - (n // round(1 / bad) if bad else 0))

    def measure(self, experiment: Experiment, tell: Callable[[str], None] = lambda text: None) -> dict[str, list[Done]]:
        """What became of each side, round by round."""
        with experiment.beside():
            return self._measured(experiment, tell)

    def _measured(self, experiment: Experiment, tell: Callable[[str], None]) -> dict[str, list[Done]]:
        measured: dict[str, list[Done]] = {name: [] for name in experiment.sides}
        for round_ in range(experiment.rounds):
            for name, side in experiment.sides.items():
                tell(f"{experiment.name}: {name}, round {round_ + 1} of {experiment.rounds}")
                place = Place(self._uri, self._root, f"p{next(self._numbers)}").make(side.prepared)
                try:
                    side.prepare(place)
                    os.sync()  # what was prepared is written by now, and at nobody's expense
                    measured[name].append(self._do(side, place))
                    _look(side, place)
                finally:
                    place.remove()
        return measured

    def _do(self, side: Side, place: Place) -> Done:
        task = Task(work=side.work, uri=self._uri, root=str(self._root), place=place.name, source=side.source)
        done = carry_out(replace(task, **side.options), side.python)
        if done.orders != side.orders:
            raise SystemExit(f"{side.work}: {side.orders} orders expected, {done.orders} done: it would mean nothing")
        return done

    def _orders(self, count: int) -> int:
        return max(100, round(count * self._scale))

    def _files(self, count: int, *, edition: int = 0) -> str:
        folder = self._root / f"files-{count}-{edition}"
        if not folder.exists():
            fill_with_files(folder, count, edition=edition)
        return str(folder)

    def _lines(self, count: int, *, bad: float = 0) -> str:
        folder = self._root / f"lines-{count}-{bad}"
        if not folder.exists():
            fill_with_lines(folder, count, bad=bad)
        return str(folder)


def _look(side: Side, place: Place) -> None:
    """Ask the database, whatever the side said; raises SystemExit where it has not done what it was to do."""
    expected = side.orders if side.stored is None else side.stored
    stored = place.orders.count_documents({})
    left = place.orders.count_documents({"isSynced": {"$ne": True}}) if side.sends else 0
    if stored != expected or left:
        raise SystemExit(f"{side.work}: {expected} documents expected, {stored} found, {left} of them not sent")
