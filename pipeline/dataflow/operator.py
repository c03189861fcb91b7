"""The one operator that all stages of batches are: it runs a function on each batch, timed, beside an open resource."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

from aiostream import pipable_operator, stream, streamcontext

from pipeline.dataflow.messages import Batch
from pipeline.dataflow.ports import Resource
from pipeline.dataflow.stage import Apply
from pipeline.dataflow.timing import lap, now

__all__ = ["per_batch"]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")

BatchFunction: TypeAlias = Callable[[Batch[A]], Awaitable[Batch[B]]]


def per_batch(
    name: str,
    function: BatchFunction[A, B],
    resource: Resource | None = None,
    *,
    ahead: bool = False,
    in_flight: int = 1,
) -> Apply:
    """The operator of the stage ``name``: it runs ``function`` on each batch, ``in_flight`` at once.

    ``resource`` is open meanwhile.

    It ends with a batch after which the run stops.
    """
    return lambda source: _batches(source, name, function, resource or Resource(), ahead, in_flight)


@pipable_operator
async def _batches(
    source: AsyncIterable[Batch[A]],
    name: str,
    function: BatchFunction[A, B],
    resource: Resource,
    ahead: bool,
    in_flight: int,
) -> AsyncIterator[Batch[B]]:
    """One operator for all, because making one costs more than running it on a small batch."""

    async def one(batch: Batch[A], *others: Batch[A]) -> Batch[B]:
        began = now()
        try:
            return await function(batch)
        finally:
            lap(name, began)

    groups = _one_ahead(source) if ahead else source
    results: AsyncIterable[Batch[B]] = stream.map(groups, one, task_limit=in_flight)
    async with resource, streamcontext(results) as done:
        async for batch in done:
            yield batch
            if batch.stop is not None:
                break


async def _one_ahead(groups: AsyncIterable[T]) -> AsyncIterator[T]:
    """The same groups, each read while the one before it is on its way through the chain."""
    async with streamcontext(groups) as stream:
        ahead = asyncio.ensure_future(anext(stream, None))
        try:
            while (group := await ahead) is not None:
                ahead = asyncio.ensure_future(anext(stream, None))
                yield group
        finally:
            ahead.cancel()
            await asyncio.wait([ahead])
            if not ahead.cancelled():
                ahead.exception()  # the chain has ended already, for a reason of its own
