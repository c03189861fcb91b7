"""A lane: works the groups that a run deals to it, in a process of its own, and tells what became of each.

It has the stages from parsing to delivering, and nothing that there is one of: letters, budgets, what is known of
files, and the order in which groups are written are the run's. A run that is gone ends it.
"""

import asyncio
import socket
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from aiostream import streamcontext
from loguru import logger

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Batch, BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import BatchSink
from pipeline.errors import Fatal
from pipeline.flows import taking
from pipeline.history.decisions import DecisionLog
from pipeline.orders.workorder import ExternalId, Record, id_key
from pipeline.service.effects import Live
from pipeline.service.lanes.wire import (
    Allowed,
    Deal,
    Done,
    End,
    Failed,
    Go,
    Hello,
    Keys,
    Over,
    Problem,
    Said,
    Spend,
    Wire,
)
from pipeline.service.session import session_of
from pipeline.service.telling import event_of
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.witness import TracosWitness

if TYPE_CHECKING:
    from loguru import Message

__all__ = ["work"]


async def work(end: socket.socket) -> None:
    """Be a lane of the run at the other end of the socket, until it wants no more, or is gone."""
    wire = await Wire.over(end)
    try:
        hello = await wire.greeted()
        if hello is not None:
            lane = _Lane(wire, hello)
            tasks = [asyncio.ensure_future(lane.hear()), asyncio.ensure_future(lane.work())]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await wire.close()


class _Lane:
    def __init__(self, wire: Wire, hello: Hello) -> None:
        self._wire = wire
        self._hello = hello
        self._loop = asyncio.get_running_loop()
        self._decisions = DecisionLog(hello.settings.data_decision_log, hello.run)
        self._dealt: asyncio.Queue[Deal | None] = asyncio.Queue()
        self._in_hand: deque[Deal] = deque()
        self._numbers: dict[Locator, int] = {}
        """Of the group that a record in hand is in."""
        self._let: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._asked: deque[asyncio.Future[Allowed]] = deque()
        self._rules = _Told()
        self._gave_way = _Told()

    async def hear(self) -> None:
        """Take what the run says, until it is gone."""
        while (message := await self._wire.to_lane()) is not None:
            match message:
                case Deal():
                    self._dealt.put_nowait(message)
                case Go(number):
                    self._let[number].set()
                case Allowed():
                    self._asked.popleft().set_result(message)
                case End():
                    self._dealt.put_nowait(None)

    async def work(self) -> None:
        """Work all that is dealt, and say what became of it."""
        logger.remove()
        logger.add(self._pass_on, level=self._hello.settings.log_level, format="{message}", catch=False)
        try:
            tallies = await self._worked()
        except Fatal as error:
            self._wire.say(Failed(Problem.of(error)))
        except Exception as error:  # as a run tells it
            logger.opt(exception=error).trace("stopped")
            told = f"stopped by an unexpected {type(error).__name__}; set LOG_LEVEL=TRACE for the details"
            self._wire.say(Failed(Problem("Fatal", told)))
        else:
            self._wire.say(tallies)
        await asyncio.sleep(0)  # what was logged until now is said too
        await self._wire.flushed()

    async def _worked(self) -> Over:
        hello = self._hello
        session = session_of(hello.settings, hello.customer, self._decisions, Live())
        tracos = session.tracos(hello.uri, deletes=_Asking(self))
        witness = tracos.witness(session.client.terms)
        if hello.is_attended:
            witness.attend()
        sink = _InOrder(tracos.sink(session.client.terms, witness), self)
        async with tracos, streamcontext(taking(session.client, sink)(self._batches())) as batches:
            async for batch in batches:
                self._wire.say(self._done(batch, witness))
                await self._wire.flushed()
        return Over(session.keys.tallies() if session.keys is not None else {})

    async def _batches(self) -> AsyncIterator[Batch[bytes]]:
        while (deal := await self._dealt.get()) is not None:
            locators = list(map(Locator, deal.places, deal.parts))
            self._in_hand.append(deal)
            self._numbers.update(dict.fromkeys(locators, deal.number))
            items = [
                Envelope(payload, locator, payload, arrival=arrival)
                for payload, locator, arrival in zip(deal.payloads, locators, deal.arrivals, strict=True)
            ]
            yield Batch(flow=deal.flow, received=locators, items=items)

    async def may_write(self, items: Sequence[Envelope[Record]]) -> None:
        """Say which orders the group of ``items`` is about, and wait until it may be written."""
        number = self._numbers[items[0].locator]
        self._wire.say(Keys(number, list({id_key(item.payload.external_id) for item in items})))
        await self._let[number].wait()

    async def may_delete(self, numbers: Sequence[ExternalId]) -> None:
        """Ask the run; raises BudgetExceeded where these are too many."""
        answer: asyncio.Future[Allowed] = self._loop.create_future()
        self._asked.append(answer)
        self._wire.say(Spend(list(numbers)))
        if (problem := (await answer).problem) is not None:
            raise problem.error

    def _done(self, batch: Batch[Outcome], witness: TracosWitness) -> Done:
        deal = self._in_hand.popleft()
        self._let.pop(deal.number, None)
        positions = {locator: position for position, locator in enumerate(batch.received)}
        for locator in positions:
            del self._numbers[locator]
        delivered = [item.locator for item in batch.items]
        proofs = zip(delivered, witness.take(delivered), strict=True) if self._hello.is_attended else ()
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

    def _pass_on(self, message: "Message") -> None:
        record = message.record
        kind = record["extra"].get("kind", f"{record['file'].path}:{record['line']}")
        said = Said(record["level"].name, kind or "", event_of(record), record["message"])
        self._loop.call_soon_threadsafe(self._wire.say, said)


class _Told:
    """How much of some counts was told."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}

    def more(self, counts: Mapping[str, int]) -> dict[str, int]:
        """What ``counts`` has become more, or less, since the last time."""
        before, self._before = self._before, dict(counts)
        return {name: more for name, count in self._before.items() if (more := count - before.get(name, 0))}


class _Asking(DeleteBudget):
    """The run's own budget."""

    def __init__(self, lane: _Lane) -> None:
        super().__init__()
        self._lane = lane

    async def spend(self, numbers: Iterable[ExternalId]) -> None:
        """Count these orders; raises BudgetExceeded, before any of them is touched, when they are too many."""
        if deleted := list(numbers):
            await self._lane.may_delete(deleted)


class _InOrder(BatchSink[Record]):
    """A sink, each group of which waits until it may be written."""

    def __init__(self, sink: BatchSink[Record], lane: _Lane) -> None:
        self.in_flight = sink.in_flight  # type: ignore[misc]  # a sink's own, which this one is to the stages
        self._sink = sink
        self._lane = lane

    async def write_batch(self, items: Sequence[Envelope[Record]]) -> BatchResult:
        """Deliver a batch, in its turn."""
        await self._lane.may_write(items)
        return await self._sink.write_batch(items)
