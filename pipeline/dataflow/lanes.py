"""Lanes: where a stage's work is done side by side, by whatever can do it; the stream stays one, and in order."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, TypeVar, cast

from aiostream import pipable_operator, stream, streamcontext
from msgspec.structs import replace

from pipeline.dataflow.messages import Batch
from pipeline.dataflow.ports import Resource
from pipeline.dataflow.stage import Stage

__all__ = ["Lanes", "spread"]

A = TypeVar("A")
B = TypeVar("B")


class Lanes(Resource, ABC):
    """Does the work of a stage elsewhere, several batches at once."""

    in_flight: int
    """How many batches may be under way at once."""
    after: int = 0
    """So many items are worked here before the lanes are opened: opening them costs more than a few are worth."""

    @abstractmethod
    async def work(self, batch: Batch[Any]) -> Batch[Any]:
        """What the stage makes of ``batch``, as if it had done so here; called in the order of the batches.

        What belongs together is written in that order too, whichever lane it is in. Raises the Fatal that stopped it.
        """


def spread(stage: Stage[A, B], lanes: Lanes) -> Stage[A, B]:
    """The same stage, its work done in ``lanes``; they are opened only where enough comes for that to pay."""

    @pipable_operator
    async def spreading(source: AsyncIterable[Batch[A]]) -> AsyncIterator[Batch[B]]:
        async with streamcontext(source) as batches:
            async with streamcontext(stage(_first(batches, lanes.after))) as here:
                async for batch in here:
                    yield batch
                    if batch.stop is not None:
                        return
            async for following in batches:
                if not following.items:  # there is nothing to do
                    yield replace(cast("Batch[Any]", following), items=())
                    continue
                async with lanes, streamcontext(_worked(_all(following, batches), lanes)) as there:
                    async for batch in there:
                        yield batch
                        if batch.stop is not None:
                            return

    return Stage(spreading, *stage.steps)


def _worked(batches: AsyncIterable[Batch[Any]], lanes: Lanes) -> AsyncIterable[Batch[Any]]:
    async def work(batch: Batch[Any], *others: Batch[Any]) -> Batch[Any]:
        return await lanes.work(batch)

    return stream.map(batches, work, task_limit=lanes.in_flight)


async def _first(batches: AsyncIterator[Batch[A]], items: int) -> AsyncIterator[Batch[A]]:
    """The first batches, until they hold so many items; nothing more is taken."""
    while items > 0 and (batch := await anext(batches, None)) is not None:
        yield batch
        items -= len(batch.items)


async def _all(batch: Batch[A], others: AsyncIterator[Batch[A]]) -> AsyncIterator[Batch[A]]:
    yield batch
    async for following in others:
        yield following
