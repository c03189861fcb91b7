"""One event loop for all that is asynchronous: a new one for each input would cost more than the rest."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_RUNNERS: list[asyncio.Runner] = []


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of ``work``."""
    if not _RUNNERS:
        _RUNNERS.append(asyncio.Runner())
    return _RUNNERS[0].run(work)


def close() -> None:
    """End the loop and its threads; the next work begins new ones."""
    while _RUNNERS:
        _RUNNERS.pop().close()
