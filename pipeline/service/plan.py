"""A dry run: the very same two chains, over ends that read everything and write nothing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal

from msgspec import Struct, field

from pipeline.clients.connector import Connector, Outgoing
from pipeline.dataflow.messages import DeadLetter, Envelope, Outcome, Spared, Unreadable
from pipeline.dataflow.ports import BatchSink, DeadLetters, Source, Witness
from pipeline.dataflow.run import Report, run
from pipeline.deadletters import Drawer
from pipeline.flows import FLOWS
from pipeline.history.decisions import Entry
from pipeline.orders.merge import Rule
from pipeline.service.session import Session

__all__ = ["Plan", "rehearse"]


class Plan(Struct, kw_only=True):
    """What a run would do."""

    entries: Sequence[Entry] = ()
    """What the decision log would say: every write to TracOS, every order handed to the client, every stale record."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    @property
    def writes(self) -> list[Entry]:
        """The entries that write something."""
        return [entry for entry in self.entries if entry.rule != Rule.STALE]


async def rehearse(session: Session, uri: str) -> Plan:
    """What a run would do now, found by a run that writes nothing; ``session`` is one that rehearses.

    Raises what would stop the run. What a sink refuses only when it writes (a full disk, an edit in between) cannot be
    known before.
    """
    plan = Plan()
    drawers = session.settings.data_dead_letter_dir
    client = _ReadOnlyClient(session.client)
    async with session.tracos(uri) as tracos:
        for name, flow in FLOWS.items():
            dead = _NotedLetters(Drawer(drawers / f"{client.name}.{name}"), plan.dead_letters)
            plan.reports.append(await run(flow(client, tracos, dead)))
    plan.entries = session.decisions.entries
    return plan


class _ReadOnlyClient(Connector):
    """A client that is read from, never told anything, and handed nothing."""

    def __init__(self, client: Connector) -> None:
        self._client = client
        self.name, self.layouts = client.name, client.layouts
        self.default_layout, self.timezone = client.default_layout, client.timezone

    def source(self) -> Source[bytes]:
        return _Untold(self._client.source())

    def sink(self) -> BatchSink[Outgoing]:
        return _Nowhere()

    def parse(self, raw: bytes) -> Any:
        return self._client.parse(raw)

    def validate(self, data: Any) -> Any:
        return self._client.validate(data)

    def to_record(self, checked: Any) -> Any:
        return self._client.to_record(checked)

    def from_record(self, record: Any) -> Outgoing:
        return self._client.from_record(record)

    def identify(self, raw: bytes) -> Any:
        return self._client.identify(raw)


class _Untold(Source[bytes]):
    """Another source, which is not told what became of its items."""

    def __init__(self, source: Source[bytes]) -> None:
        self._source = source

    async def open(self) -> None:
        await self._source.open()

    async def close(self) -> None:
        await self._source.close()

    def rely_on(self, witness: Witness) -> None:
        self._source.rely_on(witness)

    async def read(self) -> AsyncIterator[Sequence[Envelope[bytes] | Unreadable | Spared]]:
        async with aclosing(self._source.read()) as groups:  # type: ignore[type-var]  # what is declared an iterator is a generator
            async for group in groups:
                yield group


class _Nowhere(BatchSink[Outgoing]):
    """Takes everything and keeps nothing."""

    async def write_batch(self, items: Sequence[Envelope[Outgoing]]) -> Sequence[Outcome | Exception]:
        return [Outcome.SENT] * len(items)


class _NotedLetters(DeadLetters):
    """Holds back what a run would hold back, and notes the letters that it would write."""

    def __init__(self, drawer: Drawer, noted: list[DeadLetter]) -> None:
        self._drawer = drawer
        self._noted = noted

    async def open(self) -> None:
        self._drawer.look()

    async def recall(self, items: Sequence[Envelope[Any]]) -> Mapping[str, Literal["open", "closed"]]:
        states = ((item.locator, self._drawer.state(item.locator, item.raw, item.stamp)) for item in items)
        return {locator: state for locator, state in states if state is not None}

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        self._noted += letters

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        pass
