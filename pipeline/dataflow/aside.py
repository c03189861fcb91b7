"""What is put aside: the passages that write dead letters, hold what has one already, and close what needs none."""

from collections.abc import AsyncIterable, AsyncIterator, Collection
from typing import Any, Final

from aiostream import pipable_operator, streamcontext
from loguru import logger
from msgspec import structs

from pipeline.dataflow.messages import Batch, Envelope
from pipeline.dataflow.operator import per_batch
from pipeline.dataflow.ports import DeadLetters, Source
from pipeline.dataflow.stage import Passage, Step

__all__ = ["close_unseen", "dead_letters", "hold_known", "hold_repeats"]

_DEAD: Final = logger.bind(event="dead_letter")


def hold_known(dead: DeadLetters, *, but: Collection[str] = ()) -> Passage:
    """Leave out what is dead already, or was closed by a person, and has not changed since: it stays where it is.

    What failed at a stage in ``but`` is tried again: there it depends on more than the item. Needs
    ``dead_letters(dead)`` further down the chain, which opens the folder, and for those ``hold_repeats(dead)``.
    """

    async def held_back(batch: Batch[Any]) -> Batch[Any]:
        unread = [Envelope(None, letter.locator, letter.raw, letter.stamp) for letter in batch.failed]
        known = await dead.recall([*batch.items, *unread], but=but)
        if not known:
            return batch
        return structs.replace(
            batch,
            items=[item for item in batch.items if item.locator not in known],
            failed=[letter for letter in batch.failed if letter.locator not in known],
            held=[*batch.held, *(locator for locator, state in known.items() if state == "open")],
            closed=[*batch.closed, *(locator for locator, state in known.items() if state == "closed")],
        )

    return Passage(per_batch("hold_known", held_back), Step("hold_known", "hold"))


def hold_repeats(dead: DeadLetters) -> Passage:
    """Hold what was tried again and failed as its letter says already: there is nothing new to tell."""

    async def held_again(batch: Batch[Any]) -> Batch[Any]:
        again = await dead.repeated(batch.failed) if batch.failed else ()
        if not again:
            return batch
        failed = [letter for letter in batch.failed if letter.locator not in again]
        return structs.replace(batch, failed=failed, held=[*batch.held, *again])

    return Passage(per_batch("hold_repeats", held_again), Step("hold_repeats", "hold"))


def dead_letters(dead: DeadLetters) -> Passage:
    """Put the failed items aside in ``dead``, durably, and close the letters of those that were now delivered."""

    async def put_aside(batch: Batch[Any]) -> Batch[Any]:
        if batch.items:
            await dead.resolve(batch.items)
        if not batch.failed:
            return batch
        await dead.write(batch.failed)
        for letter in batch.failed:
            _DEAD.warning("dead letter: {} failed at {}: {}", letter.locator, letter.stage, letter.loggable)
        return structs.replace(batch, failed=(), dead_lettered=[*batch.dead_lettered, *batch.failed])

    return Passage(per_batch("dead_letters", put_aside, dead), Step("dead_letters", "dead_letters", dead))


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
