"""A source around another one, which does all that is not said otherwise."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Empty, Envelope, Fate, Spared, Unreadable
from pipeline.dataflow.ports import Progress, Source

__all__ = ["WrappedSource"]

T_co = TypeVar("T_co", covariant=True)


class WrappedSource(Source[T_co], Generic[T_co]):
    """Does as ``source`` does."""

    def __init__(self, source: Source[T_co]) -> None:
        self.source = source

    @property
    def title(self) -> str:
        """The source's."""
        return self.source.title

    @property
    def shows_all(self) -> bool:
        """Whether the source did."""
        return self.source.shows_all

    @property
    def pending(self) -> int:
        """The source's."""
        return self.source.pending

    def progress(self) -> Progress | None:
        """The source's."""
        return self.source.progress()

    async def open(self) -> None:
        """Open the source."""
        await self.source.open()

    async def close(self) -> None:
        """Close it."""
        await self.source.close()

    async def read(self) -> AsyncGenerator[Sequence[Envelope[T_co] | Unreadable | Empty | Spared], None]:
        """The source's items."""
        async with aclosing(self.source.read()) as groups:  # type: ignore[type-var]  # it is a generator, whatever its type says
            async for group in groups:
                yield group

    def learn(self, called: Mapping[Locator, int | str], gone: Sequence[Locator]) -> None:
        """Tell the source."""
        self.source.learn(called, gone)

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """Tell the source."""
        await self.source.settle(fates)
