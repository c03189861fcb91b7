"""A room that many are in at once, or one alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Room"]


class Room:
    """Whoever wants to be in it alone waits until it is empty, and meanwhile nobody else comes in."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = 0
        self._wanting = 0
        """Of those that want to be alone, or are."""

    @asynccontextmanager
    async def entered(self, *, alone: bool) -> AsyncIterator[None]:
        """Inside of this one is in it."""
        self._wanting += alone
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._inside if alone else not self._wanting)
                self._inside += 1
            try:
                yield
            finally:
                self._inside -= 1
        finally:
            self._wanting -= alone
            async with self._changed:
                self._changed.notify_all()
