"""Dealt groups on their way through the stages of a flow, wherever that is: each in its turn, and what became of it."""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from aiostream import streamcontext

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Batch, BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import BatchSink
from pipeline.dataflow.stage import Stage
from pipeline.orders.workorder import ExternalId
from pipeline.service.lanes.wire import Deal, Done, Problem

__all__ = ["Groups", "MayWrite"]

T = TypeVar("T")

MayWrite: TypeAlias = Callable[[int, Sequence[ExternalId]], Awaitable[None]]
"""Is told the number of a group, and what orders it is about; returns when it may be written, or raises Fatal."""


class Groups:
    """Those of one run, or what of them is dealt here; each is delivered when ``may_write`` says so."""

    def __init__(self, may_write: MayWrite) -> None:
        self._may_write = may_write
        self._numbers: dict[Locator, int] = {}
        """Of the group that an item in hand is in."""
        self._in_hand: deque[Deal] = deque()

    def in_turn(self, sink: BatchSink[T], keys: Callable[[T], ExternalId]) -> BatchSink[T]:
        """The sink, each group waiting for its turn; ``keys`` tells which order an item is about, as ids compare."""
        return _InTurn(sink, self._numbers, self._may_write, keys)

    async def through(
        self, stage: Stage[Any, Outcome], deals: AsyncIterable[Deal], read: Callable[[bytes], Any] = bytes
    ) -> AsyncIterator[tuple[Batch[Outcome], Done]]:
        """Work the groups, ``read`` taking their payloads; what became of each. Raises the Fatal that stops it."""
        async with streamcontext(stage(self._batches(deals, read))) as batches:
            async for batch in batches:
                yield batch, self._done(batch)

    async def _batches(self, deals: AsyncIterable[Deal], read: Callable[[bytes], Any]) -> AsyncIterator[Batch[Any]]:
        async for deal in deals:
            locators = list(map(Locator, deal.places, deal.parts))
            self._in_hand.append(deal)
            self._numbers.update(dict.fromkeys(locators, deal.number))
            items = [
                Envelope(read(payload), locator, payload, arrival=arrival)
                for payload, locator, arrival in zip(deal.payloads, locators, deal.arrivals, strict=True)
            ]
            yield Batch(flow=deal.flow, received=locators, items=items)

    def _done(self, batch: Batch[Outcome]) -> Done:
        deal = self._in_hand.popleft()
        positions = {locator: position for position, locator in enumerate(batch.received)}
        for locator in positions:
            del self._numbers[locator]
        return Done(
            number=deal.number,
            outcomes={positions[item.locator]: item.payload for item in batch.items},
            skipped=[positions[locator] for locator in batch.skipped],
            deferred=[positions[locator] for locator in batch.deferred],
            failed=[(positions[letter.locator], letter.stage, letter.reasons) for letter in batch.failed],
            called={positions[locator]: given for locator, given in batch.called.items()},
            gone=[positions[locator] for locator in batch.gone],
            stop=None if batch.stop is None else Problem.of(batch.stop),
        )


class _InTurn(BatchSink[T], Generic[T]):
    """A sink, each group of which waits until it may be written; ``numbers`` says which group an item is in."""

    def __init__(
        self,
        sink: BatchSink[T],
        numbers: Mapping[Locator, int],
        may_write: MayWrite,
        keys: Callable[[T], ExternalId],
    ) -> None:
        self.in_flight = sink.in_flight  # type: ignore[misc]  # a sink's own, which this one is to the stages
        self._sink = sink
        self._numbers = numbers
        self._may_write = may_write
        self._keys = keys

    async def open(self) -> None:
        """Open the sink."""
        await self._sink.__aenter__()

    async def close(self) -> None:
        """Close it."""
        await self._sink.__aexit__(None, None, None)

    async def write_batch(self, items: Sequence[Envelope[T]]) -> BatchResult:
        """Deliver a batch, in its turn."""
        keys = {self._keys(item.payload) for item in items}
        await self._may_write(self._numbers[items[0].locator], list(keys))
        return await self._sink.write_batch(items)
