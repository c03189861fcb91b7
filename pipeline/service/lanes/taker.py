"""Takes dealt groups of records into TracOS as a run does, wherever that is; what only a run can do it asks for."""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from aiostream import streamcontext

from pipeline.clients.records.drift import Tally
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Batch, BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import BatchSink, Resource
from pipeline.flows import taking
from pipeline.history.decisions import DecisionLog
from pipeline.orders.workorder import ExternalId, Record, id_key
from pipeline.service.effects import Live
from pipeline.service.lanes.wire import Deal, Done, Hello, Problem, Said
from pipeline.service.session import session_of
from pipeline.service.telling import event_of
from pipeline.tracos.deletes import DeleteBudget

if TYPE_CHECKING:
    from loguru import Message

__all__ = ["Taker", "said"]

MayWrite: TypeAlias = Callable[[int, Sequence[ExternalId]], Awaitable[None]]
"""Is told the number of a group, and what orders it is about; returns when it may be written, or raises Fatal."""


class Taker(Resource):
    """The stages from parsing to delivering, as ``hello`` says: for the groups of one run, until it is closed.

    It has nothing that there is one of: letters, budgets, what is known of files, and the order in which groups are
    written are the run's.
    """

    def __init__(self, hello: Hello, *, deletes: DeleteBudget, may_write: MayWrite) -> None:
        self._is_attended = hello.is_attended
        self._decisions = DecisionLog(hello.settings.data_decision_log, hello.run)
        self._session = session_of(hello.settings, hello.customer, self._decisions, Live())
        self._tracos = self._session.tracos(hello.uri, deletes=deletes)
        terms = self._session.client.terms
        self._witness = self._tracos.witness(terms)
        if hello.is_attended:
            self._witness.attend()
        self._numbers: dict[Locator, int] = {}
        """Of the group that a record in hand is in."""
        self._sink = _InOrder(self._tracos.sink(terms, self._witness), self._numbers, may_write)
        self._in_hand: deque[Deal] = deque()
        self._rules = _Told()
        self._gave_way = _Told()

    async def open(self) -> None:
        """Connect to TracOS."""
        await self._tracos.__aenter__()

    async def close(self) -> None:
        """Give the connection back."""
        await self._tracos.__aexit__(None, None, None)

    async def take(self, deals: AsyncIterable[Deal]) -> AsyncIterator[Done]:
        """Work the groups, and say of each what became of it; raises the Fatal that stops it."""
        async with streamcontext(taking(self._session.client, self._sink)(self._batches(deals))) as batches:
            async for batch in batches:
                yield self._done(batch)

    def tallies(self) -> dict[str, Tally]:
        """Which keys the records had since this was asked last."""
        return self._session.keys.take_tallies() if self._session.keys is not None else {}

    async def _batches(self, deals: AsyncIterable[Deal]) -> AsyncIterator[Batch[bytes]]:
        async for deal in deals:
            locators = list(map(Locator, deal.places, deal.parts))
            self._in_hand.append(deal)
            self._numbers.update(dict.fromkeys(locators, deal.number))
            items = [
                Envelope(payload, locator, payload, arrival=arrival)
                for payload, locator, arrival in zip(deal.payloads, locators, deal.arrivals, strict=True)
            ]
            yield Batch(flow=deal.flow, received=locators, items=items)

    def _done(self, batch: Batch[Outcome]) -> Done:
        deal = self._in_hand.popleft()
        positions = {locator: position for position, locator in enumerate(batch.received)}
        for locator in positions:
            del self._numbers[locator]
        delivered = [item.locator for item in batch.items]
        proofs = zip(delivered, self._witness.take(delivered), strict=True) if self._is_attended else ()
        return Done(
            number=deal.number,
            outcomes={positions[item.locator]: item.payload for item in batch.items},
            proofs={positions[locator]: proof for locator, proof in proofs if proof is not None},
            skipped=[positions[locator] for locator in batch.skipped],
            deferred=[positions[locator] for locator in batch.deferred],
            failed=[(positions[letter.locator], letter.stage, letter.reasons) for letter in batch.failed],
            stop=None if batch.stop is None else Problem.of(batch.stop),
            rules=self._rules.more(self._decisions.rules),
            gave_way=self._gave_way.more(self._decisions.gave_way),
        )


def said(message: "Message") -> Said:
    """A line of the log, for the run to log it."""
    record = message.record
    kind = record["extra"].get("kind", f"{record['file'].path}:{record['line']}")
    return Said(record["level"].name, kind or "", event_of(record), record["message"])


class _Told:
    """How much of some counts was told."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}

    def more(self, counts: Mapping[str, int]) -> dict[str, int]:
        """What ``counts`` has become more, or less, since the last time."""
        before, self._before = self._before, dict(counts)
        return {name: more for name, count in self._before.items() if (more := count - before.get(name, 0))}


class _InOrder(BatchSink[Record]):
    """A sink, each group of which waits until it may be written; ``numbers`` says which group a record is in."""

    def __init__(self, sink: BatchSink[Record], numbers: Mapping[Locator, int], may_write: MayWrite) -> None:
        self.in_flight = sink.in_flight  # type: ignore[misc]  # a sink's own, which this one is to the stages
        self._sink = sink
        self._numbers = numbers
        self._may_write = may_write

    async def write_batch(self, items: Sequence[Envelope[Record]]) -> BatchResult:
        """Deliver a batch, in its turn."""
        keys = {id_key(item.payload.external_id) for item in items}
        await self._may_write(self._numbers[items[0].locator], list(keys))
        return await self._sink.write_batch(items)
