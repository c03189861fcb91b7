"""The stages: typed steps that join into chains with ``|``, from ``read`` to ``settle``.

Users write plain functions of one item, sync or async; a stage moves whole batches. Whatever exception such a function
raises makes a dead letter of that item; only Fatal stops the run.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar, cast

from aiostream import streamcontext
from aiostream.core import operator
from loguru import logger
from msgspec import structs

from pipeline.dataflow.budget import Budget
from pipeline.dataflow.messages import Batch, BatchResult, DeadLetter, Empty, Envelope, Outcome, Spared, Unreadable
from pipeline.dataflow.operator import per_batch
from pipeline.dataflow.ports import BatchSink, Sink, Source
from pipeline.dataflow.stage import Chain, Passage, Stage, Step
from pipeline.dataflow.timing import lap, now
from pipeline.errors import Deferred, Fatal, Gone, Reason, Rejected, Unhandled

__all__ = [
    "deliver",
    "filter_items",
    "flat_map_items",
    "map_items",
    "parse",
    "read",
    "settle",
    "translate",
    "validate",
    "within",
]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")

ItemFunction: TypeAlias = Callable[[A], B] | Callable[[A], Awaitable[B]]

_DEFERRED: Final = logger.bind(event="deferred")


def read(source: Source[T], *, flow: str, stop: asyncio.Event | None = None) -> Chain[T]:
    """Begin a chain: the batches of ``source``, under the name ``flow``.

    Once ``stop`` is set no more is read, and the chain ends when what is on its way has been settled.
    """

    @operator
    async def batches() -> AsyncIterator[Batch[T]]:
        async with source, streamcontext(source.read()) as groups:
            began = now()
            async for group in groups:
                lap("read", began)
                items = [item for item in group if isinstance(item, Envelope)]
                others = [item for item in group if not isinstance(item, Envelope)] if len(items) < len(group) else ()
                yield Batch(
                    flow=flow,
                    received=[item.locator for item in group if not isinstance(item, (Empty, Spared))],
                    items=items,
                    failed=[_unread(flow, item) for item in others if isinstance(item, Unreadable)],
                    empty=[item.locator for item in others if isinstance(item, Empty)],
                    spared=sum(item.count for item in others if isinstance(item, Spared)),
                )
                if stop is not None and stop.is_set():
                    break
                began = now()

    return Chain(batches, (Step("read", "source", source),))


def map_items(function: ItemFunction[A, B], *, name: str = "map") -> Stage[A, B]:
    """Replace each payload by ``function(payload)``."""
    return _per_item(name, function, lambda item, result: (_with(item, result),))


def filter_items(predicate: ItemFunction[T, bool], *, name: str = "filter") -> Stage[T, T]:
    """Keep the items for which ``predicate`` holds; the others are skipped, which settles them."""
    return _per_item(name, predicate, lambda item, keep: (item,) if keep else ())


def flat_map_items(function: ItemFunction[A, Iterable[B]], *, name: str = "flat_map") -> Stage[A, B]:
    """Replace each item by those that ``function(payload)`` lists, all under its locator; by none: it is skipped.

    An item of several is acked when all of them are delivered, and dead when one of them is.
    """
    return _per_item(name, function, lambda item, results: [_with(item, result) for result in results])


def parse(function: ItemFunction[A, B]) -> Stage[A, B]:
    """Turn bytes into plain data; map_items under the name of the first thing that can fail."""
    return map_items(function, name="parse")


def validate(function: ItemFunction[A, B]) -> Stage[A, B]:
    """Turn plain data into a checked record, or raise Rejected with all reasons."""
    return map_items(function, name="validate")


def translate(function: ItemFunction[A, B]) -> Stage[A, B]:
    """Turn one side's record into the other side's words."""
    return map_items(function, name="translate")


def deliver(sink: Sink[T] | BatchSink[T], *, first: Callable[[], Awaitable[None]] | None = None) -> Stage[T, Outcome]:
    """Hand each batch to ``sink``; what comes out says, item by item, what the sink did.

    Where the sink stops the run, what it delivered before is passed on, to be settled, and nothing more is read.
    ``first`` is awaited before each batch leaves: it raises Fatal where none may any more.
    """
    write = sink.write_batch if isinstance(sink, BatchSink) else _one_by_one(sink)
    in_flight = sink.in_flight if isinstance(sink, BatchSink) else 1

    async def delivered(batch: Batch[T]) -> Batch[Outcome]:
        if first is not None and batch.items:
            await first()
        result = await _written(write, batch.items) if batch.items else BatchResult(())
        done: list[Envelope[Outcome]] = []
        deferred, gone, failed = list(batch.deferred), list(batch.gone), list(batch.failed)
        for item, outcome in zip(batch.items, result.outcomes, strict=True):
            if isinstance(outcome, Outcome):
                done.append(_with(item, outcome))
            elif isinstance(outcome, Deferred):
                if result.stop is None:
                    _DEFERRED.warning("left for the next run: {}: {}", item.locator, outcome)
                    if outcome.quote:
                        logger.debug("{}: {}", item.locator, outcome.quote)
                deferred.append(item.locator)
                gone += [item.locator] if isinstance(outcome, Gone) else []
            elif isinstance(outcome, Fatal):
                raise outcome
            else:
                failed.append(_letter(batch.flow, "deliver", item, outcome))
        called = {batch.items[position].locator: given for position, given in result.called.items()}
        changes = {"items": done, "deferred": deferred, "failed": failed, "stop": result.stop}
        return structs.replace(cast(Batch[Any], batch), **changes, called=called, gone=gone)

    return Stage(per_batch("deliver", delivered, sink, ahead=True, in_flight=in_flight), Step("deliver", "sink", sink))


def within(budget: Budget) -> Passage:
    """Stop the run once too much of it has failed: raises BudgetExceeded before anything of that batch is put aside."""

    async def checked(batch: Batch[Any]) -> Batch[Any]:
        budget.spend(batch)
        return batch

    return Passage(per_batch("within_budget", checked), Step("within_budget", "budget"))


def settle(source: Source[Any]) -> Passage:
    """Tell ``source`` what became of each of its items, and first what it learns of them beside.

    Raises Unhandled when items failed and no ``dead_letters`` stage put them aside: nothing is dropped silently.
    """

    async def settled(batch: Batch[Any]) -> Batch[Any]:
        if batch.failed:
            raise unhandled(batch)
        if batch.called or batch.gone:
            source.learn(batch.called, batch.gone)
        if fates := batch.fates:
            await source.settle(fates)
        return batch

    return Passage(
        per_batch("settle", settled, source, ahead=True, in_flight=source.in_flight), Step("settle", "settle", source)
    )


def unhandled(batch: Batch[Any]) -> Unhandled:
    """The error for a batch whose failed items nobody puts aside."""
    first = batch.failed[0]
    return Unhandled(
        f"{len(batch.failed)} item(s) of {batch.flow} failed and the chain has no dead_letters stage; the first: "
        f"{first.locator} at {first.stage}: {first.loggable}"
    )


def _per_item(
    name: str, function: Callable[[A], Any], outcome: Callable[[Envelope[A], Any], Sequence[Envelope[Any]]]
) -> Stage[A, Any]:
    """A stage that calls ``function`` with each payload; ``outcome`` says which items come of an item."""

    async def each(batch: Batch[A]) -> Batch[Any]:
        items: list[Envelope[Any]] = []
        skipped = list(batch.skipped)
        failed = list(batch.failed)
        for item in batch.items:
            try:
                result = function(item.payload)
                if hasattr(result, "__await__"):
                    result = await result
                after = outcome(item, result)
            except Fatal:
                raise
            except Exception as error:  # whatever one item raises is that item's dead letter
                failed.append(_letter(batch.flow, name, item, error))
                continue
            if after:
                items += after
            else:
                skipped.append(item.locator)
        return structs.replace(batch, items=items, skipped=skipped, failed=failed)

    return Stage(per_batch(name, each), Step(name, "items"))


def _one_by_one(sink: Sink[T]) -> Callable[[Sequence[Envelope[T]]], Awaitable[BatchResult]]:
    """A Sink's ``write`` in the form of a BatchSink's ``write_batch``."""
    limit = asyncio.Semaphore(sink.task_limit)
    stops: list[Fatal] = []

    async def one(payload: T) -> Outcome | Exception:
        async with limit:
            if stops:
                return Deferred("the run stops")
            try:
                await sink.write(payload)
            except Fatal as error:
                stops.append(error)
                return Deferred("the run stops")
            except Exception as error:  # told by position, like a batch sink's
                return error
            return Outcome.SENT

    async def write_batch(items: Sequence[Envelope[T]]) -> BatchResult:
        if sink.task_limit == 1:
            outcomes = [await one(item.payload) for item in items]
        else:
            outcomes = await asyncio.gather(*(one(item.payload) for item in items))
        return BatchResult(outcomes, next(iter(stops), None))

    return write_batch


async def _written(
    write: Callable[[Sequence[Envelope[T]]], Awaitable[BatchResult]], items: Sequence[Envelope[T]]
) -> BatchResult:
    try:
        return await write(items)
    except Fatal:
        raise
    except Exception as error:  # the sink did not tell items apart, so all of them failed
        return BatchResult([error] * len(items))


def _with(item: Envelope[Any], payload: T) -> Envelope[T]:
    return Envelope(payload, item.locator, item.raw, item.stamp, item.arrival)


def _unread(flow: str, item: Unreadable) -> DeadLetter:
    return DeadLetter.of(item, flow=flow, stage="read", reasons=item.reasons)


def _letter(flow: str, stage: str, item: Envelope[Any], error: Exception) -> DeadLetter:
    if isinstance(error, Rejected):
        return DeadLetter.of(item, flow=flow, stage=stage, reasons=error.reasons)
    logger.opt(exception=error).trace("{} failed at {}", item.locator, stage)
    why = Reason(f"unexpected {type(error).__name__} in the {stage} stage")
    return DeadLetter.of(item, flow=flow, stage=stage, reasons=(why,))
