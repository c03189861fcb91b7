"""Triggers: streams of reasons to look at a client now. They only wake: whoever is woken looks at everything."""

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from pathlib import Path
from typing import Final

from aiostream import stream, streamcontext
from loguru import logger

__all__ = ["every", "folder_changes", "woken"]

QUIET_SECONDS: Final = 0.3
"""What comes so soon after each other is one reason."""
LOOK_SECONDS: Final = 2.0
"""How often it is seen whether a folder that is to be watched has been made."""
JITTER: Final = 0.1
"""The part of an interval that it is longer or shorter by, so that many clients are not looked at all at once."""


async def every(seconds: float) -> AsyncIterator[str]:
    """Yield at once, and then time and again."""
    while True:
        yield "it is time"
        await asyncio.sleep(seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - a pause, no secret


async def folder_changes(directory: Path) -> AsyncIterator[str]:
    """Yield when something appears or changes in the folder, also where that is made later.

    It ends, with a line, where folders cannot be watched.
    """
    try:
        from watchfiles import Change, awatch  # noqa: PLC0415 - an extra
    except ImportError:
        logger.info("folders are looked at from time to time alone: the extra web has what watches them")
        return
    while True:
        try:
            changes = awatch(directory, watch_filter=lambda change, _: change is not Change.deleted, recursive=False)
            async for _ in changes:
                yield "a file"
        except FileNotFoundError:
            await asyncio.sleep(LOOK_SECONDS)
        except (OSError, RuntimeError) as error:
            logger.info("{} cannot be watched ({}): it is looked at from time to time", directory, error)
            return


async def woken(triggers: Iterable[AsyncIterable[str]]) -> AsyncIterator[str]:
    """Yield one reason for all that have come since the last was taken, once it is quiet; it ends with all of them.

    Whoever takes long to look is not woken once for each reason that came meanwhile. Raises what a trigger raises.
    """
    reasons: list[str] = []
    came = asyncio.Event()

    async def listen() -> None:
        async with streamcontext(stream.merge(*triggers)) as merged:
            async for reason in merged:
                reasons.append(reason)
                came.set()

    listening = asyncio.ensure_future(listen())
    listening.add_done_callback(lambda _: came.set())
    try:
        while True:
            await came.wait()
            if not reasons:
                listening.result()  # raises what ended it
                break
            await asyncio.sleep(QUIET_SECONDS)
            reason = reasons[-1]
            reasons.clear()
            if not listening.done():
                came.clear()
            yield reason
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
