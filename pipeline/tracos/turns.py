"""Turns: what works on the same order at the same time goes one after the other, everything else side by side."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from pipeline.orders.workorder import ExternalId

__all__ = ["Turns"]


class Turns:
    """Who works on which orders; first come, first served."""

    def __init__(self) -> None:
        self._under_way: list[tuple[frozenset[ExternalId], asyncio.Event]] = []

    @asynccontextmanager
    async def take(self, keys: Collection[ExternalId]) -> AsyncIterator[None]:
        """Wait until nobody who came earlier works on any of ``keys`` any more; then they are ours."""
        turn = frozenset(keys), asyncio.Event()
        earlier = [done for others, done in self._under_way if not others.isdisjoint(turn[0])]
        self._under_way.append(turn)
        try:
            for done in earlier:
                await done.wait()
            yield
        finally:
            self._under_way.remove(turn)
            turn[1].set()
