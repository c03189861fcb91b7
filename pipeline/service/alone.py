"""What a person has done to what is kept of one client, while nobody works on its orders."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pipeline.dataflow.run import Report
from pipeline.service.run import Work
from pipeline.service.session import Session

__all__ = ["Alone"]

T = TypeVar("T")


class Alone(Work, Generic[T]):
    """Does ``do`` with a client under its lease: a run of it elsewhere would go on with what is gone by then."""

    def __init__(self, do: Callable[[Session], Awaitable[T]]) -> None:
        self._do = do
        self.told: T | None = None
        """What it returned; None: it was not done."""

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Do it; raises what ``do`` raises."""
        async with session.alone(uri, stop):
            self.told = await self._do(session)
