"""Letters about what waits no more are closed, where a source shows all that does."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from aiostream import pipable_operator, streamcontext

from pipeline.dataflow.messages import Batch
from pipeline.dataflow.ports import DeadLetters, Source
from pipeline.dataflow.stage import Passage

__all__ = ["close_unseen"]


def close_unseen(dead: DeadLetters, source: Source[Any]) -> Passage:
    """Once ``source`` has shown all that there is, close the letters about what was not among it.

    For a source that items leave once they need nothing any more: nothing that comes later would close their letters.
    To stand behind ``dead_letters(dead)``.
    """

    @pipable_operator
    async def closing(batches: AsyncIterable[Batch[Any]]) -> AsyncIterator[Batch[Any]]:
        async with dead, streamcontext(batches) as passing:
            async for batch in passing:
                yield batch
            if source.shows_all:
                await dead.close_unseen()

    return Passage(closing)
