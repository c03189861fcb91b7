"""What operations watch, as Prometheus asks for it: counts of this process, and what was seen after each pass.

Nothing here is global: who wants another set of figures makes another object. No order is ever named.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loguru import logger
from msgspec import Struct, field
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from pipeline.dataflow.messages import Fate, Outcome
from pipeline.dataflow.run import Report
from pipeline.deadletters import Standing
from pipeline.disk import read_file, write_files
from pipeline.errors import Held, TracosOutage
from pipeline.service.passes import Pass, Watcher
from pipeline.tracos.waiting import Waiting

__all__ = ["OUTCOMES", "Metrics"]

_FATES: Final = tuple(str(fate) for fate in Fate if fate is not Fate.DELIVERED)

OUTCOMES: Final[Mapping[str, Collection[str]]] = {
    "inbound": (*(str(outcome) for outcome in Outcome if outcome is not Outcome.SENT), *_FATES),
    "outbound": (str(Outcome.SENT), *_FATES),
}
"""What becomes of an item, by flow: what a sink did with it, else its fate. The sum of all is what was read."""

SIDES: Final = ("client", "tracos")

BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Seconds."""

SUCCESS: Final = "workorder_sync_last_success_timestamp_seconds"


class _Client(Struct, kw_only=True):
    """What is known of one client."""

    items: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By flow and outcome."""
    gave_way: Counter[str] = field(default_factory=Counter)
    took: Counter[float] = field(default_factory=Counter)
    """Passes, by the bucket that they fall into."""
    seconds: float = 0
    succeeded: float = 0
    has_lease: bool = False
    letters: Mapping[str, Standing] = {}
    waiting: Waiting | None = None
    is_left_alone: bool | None = None


class Metrics(Watcher, Collector):
    """The metrics of this process, in a registry of its own. Counters begin at 0 with it, as Prometheus expects.

    Told and asked in one event loop. Ages are those of the moment at which it is asked.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._clients: dict[str, _Client] = {}
        self.registry.register(self)

    def expect(self, clients: Mapping[str, Collection[str]]) -> None:
        """Show these clients, and no others; what has not happened yet is shown as 0, so that rates see the first."""
        self._clients = {name: self._clients.get(name, _Client()) for name in clients}
        for name, flows in clients.items():
            for flow in flows:
                self._begin(name, flow)

    def passed(self, one: Pass) -> None:
        """Count what became of it; one of a client that is gone meanwhile is left out."""
        client = self._clients.get(one.client)
        if client is None:
            return
        for report in one.reports:
            flow = report.flow.rpartition(".")[2]
            self._begin(one.client, flow)
            for outcome, count in _outcomes(report).items():
                client.items[flow, outcome] += count
        client.gave_way.update(one.gave_way)
        if one.reports and not one.is_held:  # else nothing was begun
            client.took[next((bound for bound in BUCKETS if one.seconds <= bound), float("inf"))] += 1
            client.seconds += one.seconds
        if one.is_good:
            client.succeeded = datetime.now(UTC).timestamp()
        is_ours = bool(one.reports) and not isinstance(one.error, Held | TracosOutage)
        client.has_lease = one.is_good or is_ours
        if one.letters is not None:
            client.letters = {**dict.fromkeys(client.letters, Standing()), **one.letters}
        client.waiting = one.waiting or client.waiting
        client.is_left_alone = one.is_left_alone

    async def settle(self, seconds: float) -> None:
        """Nothing is waited for."""

    def text(self) -> bytes:
        """The text form, version 0.0.4, as ``/metrics`` and node exporter's textfile collector want it."""
        return generate_latest(self.registry)

    def write(self, path: Path) -> None:
        """Write the text form to ``path``, whole or not at all; a warning tells where that cannot be done.

        When a client has succeeded last is taken over from what lies there: each run is a process of its own.
        """
        try:
            before = _successes(path)
            for name, client in self._clients.items():
                client.succeeded = client.succeeded or before.get(name, 0)
            path.parent.mkdir(parents=True, exist_ok=True)
            blocked = write_files(path.parent, {path.name: self.text()}, durability="file")
            for error in blocked.values():
                raise error
        except OSError as error:
            logger.warning("{} (METRICS_FILE) cannot be written ({}): it tells of an earlier run", path, error.strerror)

    def collect(self) -> Iterator[Metric]:
        """All metrics, as they are now."""
        clients, now = dict(self._clients), datetime.now(UTC)
        yield from _counted(clients)
        yield _gauge(
            "dead_letters",
            "Dead letters that are open.",
            ("client", "flow"),
            (((name, flow), one.count) for name, client in clients.items() for flow, one in client.letters.items()),
        )
        yield _gauge(
            "oldest_dead_letter_seconds",
            "Seconds since the oldest open dead letter was first seen; 0 where there is none.",
            ("client", "flow"),
            (
                ((name, flow), _age(one.since[0] if one.since else None, now))
                for name, client in clients.items()
                for flow, one in client.letters.items()
            ),
        )
        waiting = {name: client.waiting for name, client in clients.items() if client.waiting is not None}
        yield _gauge(
            "unsynced",
            "Orders in TracOS that the client has not been told of.",
            ("client",),
            (((name,), one.count) for name, one in waiting.items()),
        )
        yield _gauge(
            "oldest_unsynced_seconds",
            "Seconds since the oldest of them was edited; 0 where none waits.",
            ("client",),
            (((name,), _age(one.since, now)) for name, one in waiting.items()),
        )
        yield _gauge(
            "lease_held",
            "1 where the last pass had the lease on the client's orders, 0 where it did not.",
            ("client",),
            (((name,), client.has_lease) for name, client in clients.items()),
        )
        yield _gauge(
            "breaker_open",
            "1 while the client's API has failed so often that it is left alone; only of clients that have one.",
            ("client",),
            (((name,), client.is_left_alone) for name, client in clients.items() if client.is_left_alone is not None),
        )

    def _begin(self, name: str, flow: str) -> None:
        client = self._clients[name]
        for outcome in OUTCOMES.get(flow, _FATES):
            client.items[flow, outcome] += 0
        client.letters = {flow: Standing(), **client.letters}


def _counted(clients: Mapping[str, _Client]) -> Iterator[Metric]:
    """What is counted from pass to pass."""
    items = CounterMetricFamily(
        "workorder_sync_items", "Items that were read, by what became of them.", labels=("client", "flow", "outcome")
    )
    took = HistogramMetricFamily("workorder_sync_pass_seconds", "Seconds that a pass took.", labels=("client",))
    gave_way = CounterMetricFamily(
        "workorder_sync_conflicts",
        "Values that gave way where both sides had edited, by whose they were.",
        labels=("client", "side"),
    )
    for name, client in clients.items():
        for (flow, outcome), count in client.items.items():
            items.add_metric((name, flow, outcome), count)
        total, buckets = 0, []
        for bound in (*BUCKETS, float("inf")):
            total += client.took[bound]
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
        took.add_metric((name,), buckets, client.seconds)
        for side in SIDES:
            gave_way.add_metric((name, side), client.gave_way[side])
    yield from (items, took, gave_way)
    yield _gauge(
        SUCCESS.removeprefix("workorder_sync_"),
        "When a pass of the client last went through to its end, as Unix time; 0: never, as far as is known.",
        ("client",),
        (((name,), client.succeeded) for name, client in clients.items()),
    )


def _gauge(
    name: str, says: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(f"workorder_sync_{name}", says, labels=labels)
    for those, value in values:
        gauge.add_metric(those, float(value))
    return gauge


def _outcomes(report: Report) -> Mapping[str, int]:
    """What became of the items of a flow; the sum is what was received."""
    return {
        **report.outcomes,
        Fate.SKIPPED: report.skipped,
        Fate.HELD: report.held,
        Fate.CLOSED: report.closed,
        Fate.DEFERRED: report.deferred,
        Fate.DEAD: report.dead.total(),
    }


def _age(since: datetime | None, now: datetime) -> float:
    return 0 if since is None else max(0.0, (now - since).total_seconds())


def _successes(path: Path) -> Mapping[str, float]:
    """By client, when it succeeded last, as far as the file tells; raises OSError but for one that is not there."""
    try:
        body = read_file(path)
    except FileNotFoundError:
        return {}
    now = datetime.now(UTC).timestamp()
    try:
        return {
            sample.labels["client"]: min(sample.value, now)
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name == SUCCESS and sample.value > 0
        }
    except Exception:  # somebody else's, or damaged: begun anew
        return {}
