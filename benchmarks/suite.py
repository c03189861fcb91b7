"""All comparisons: which sides, on how many orders, what lies there before; measured A B A B."""

import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from benchmarks import starting
from benchmarks.place import Place, fill_with_files, fill_with_lines
from benchmarks.task import Done, Task, carry_out

__all__ = ["Experiment", "Results", "Side", "Suite", "rate", "ratio"]


class Side(Struct, frozen=True):
    """One of those that are compared."""

    work: str
    orders: int
    source: str = ""
    prepare: Callable[[Place], object] = lambda place: None
    options: Mapping[str, object] = {}


class Experiment(Struct, frozen=True):
    """Sides that are measured in turns, each in a new place."""

    name: str
    sides: Mapping[str, Side]
    rounds: int


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
    """Measures on the server at ``uri``, in ``root``; ``scale`` makes all of it smaller."""

    def __init__(self, uri: str, root: Path, *, scale: float = 1.0, rounds: int = 3) -> None:
        self._uri, self._root, self._scale, self._rounds = uri, root, scale, rounds
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
        """In the order in which they are measured."""
        yield from self.basic(self._orders(100_000))
        yield from self._inbound()
        yield from self._outbound()
        yield from self._curves()
        yield from self._idle()

    def basic(self, n: int) -> Iterator[Experiment]:
        """The pipeline and the floor, both ways, with ``n`` small files."""
        files = self._files(n)
        inbound = {"floor": Side("floor.inbound_files", n, files), "pipeline": Side("ours.inbound", n, files)}
        yield Experiment("inbound files", inbound, self._rounds)
        outbound = {"floor": _waiting("floor.outbound_files", n), "pipeline": _waiting("ours.outbound", n)}
        yield Experiment("outbound files", outbound, self._rounds)

    def _inbound(self) -> Iterator[Experiment]:
        n, few, rounds = self._orders(100_000), self._orders(5_000), self._rounds
        files, some = self._files(n), self._files(few)
        peers = {
            "naive": "peers.naive_inbound",
            "gather": "peers.gather",
            "aiostream per item": "peers.per_item",
            "bulk_write": "peers.bulk_write",
        }
        if find_spec("dlt") and find_spec("singer_sdk"):
            peers |= {"dlt": "frameworks.with_dlt", "singer-sdk": "frameworks.with_singer"}
        yield Experiment(
            "inbound peers",
            {"pipeline": Side("ours.inbound", n, files)}
            | {name: Side(work, few, some) for name, work in peers.items()},
            rounds,
        )
        n = self._orders(1_000_000)
        lines = self._lines(n)
        yield Experiment(
            "inbound lines",
            {"floor": Side("floor.inbound_lines", n, lines), "pipeline": Side("ours.inbound", n, lines)},
            rounds,
        )
        n = self._orders(100_000)
        yield Experiment("repeats", self._known(files, n), rounds)
        yield self._merge(n, files)
        sides = {f"{bad:.0%} bad": Side("ours.inbound", n, self._lines(n, bad=bad)) for bad in (0, 0.01, 0.1, 0.5)}
        yield Experiment("bad records", sides, rounds)

    def _outbound(self) -> Iterator[Experiment]:
        n, few = self._orders(100_000), self._orders(5_000)
        sides = {
            "pipeline": _waiting("ours.outbound", n),
            "naive": _waiting("peers.naive_outbound", few),
            "floor of one NDJSON file": _waiting("floor.outbound_lines", n),
        }
        yield Experiment("outbound peers", sides, self._rounds)
        million = self._orders(1_000_000)
        waiting = million // 100
        sides = {
            "1 % of many": _waiting("ours.outbound", waiting, among=million),
            "alone": _waiting("ours.outbound", waiting),
        }
        yield Experiment("backlog", sides, 1)

    def _curves(self) -> Iterator[Experiment]:
        sizes = [self._orders(size) for size in (1_000, 10_000, 100_000, 1_000_000)]
        yield Experiment(
            "size inbound",
            {f"{n:,}": Side("ours.inbound", n, self._lines(n)) for n in dict.fromkeys(sizes)},
            1,
        )
        yield Experiment(
            "size outbound",
            {f"{n:,}": _waiting("ours.outbound", n) for n in dict.fromkeys(sizes)},
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

        idle = Side("ours.both", files, folder, prepare=settled, options={"remembers": True})
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

        return Experiment(
            "merge",
            {
                "floor": Side("floor.merge_files", n, after, loaded),
                "pipeline": Side("ours.inbound", n, after, loaded),
            },
            self._rounds,
        )

    def measure(self, experiment: Experiment, tell: Callable[[str], None] = lambda text: None) -> dict[str, list[Done]]:
        """What became of each side, round by round."""
        measured: dict[str, list[Done]] = {name: [] for name in experiment.sides}
        for round_ in range(experiment.rounds):
            for name, side in experiment.sides.items():
                tell(f"{experiment.name}: {name}, round {round_ + 1} of {experiment.rounds}")
                place = Place(self._uri, self._root, f"p{next(self._numbers)}").make()
                try:
                    side.prepare(place)
                    measured[name].append(self._do(side, place))
                finally:
                    place.remove()
                    shutil.rmtree(place.root)
        return measured

    def _do(self, side: Side, place: Place) -> Done:
        task = Task(work=side.work, uri=self._uri, root=str(self._root), place=place.name, source=side.source)
        done = carry_out(replace(task, **side.options))
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


def _waiting(work: str, orders: int, *, among: int | None = None) -> Side:
    """``work`` on so many unsynced documents, among others that are synced."""
    return Side(work, orders, prepare=lambda place: place.with_documents(among or orders, unsynced=orders))
