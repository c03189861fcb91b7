"""In-memory ends of chains."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

from pipeline.dataflow.messages import DeadLetter, Envelope, Outcome, Unreadable
from pipeline.dataflow.ports import BatchSink, DeadLetters, Source

__all__ = ["ListSink", "ListSource", "MemoryDeadLetters"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

Journal = list[tuple[str, Any]]


class ListSource(Source[T], Generic[T]):
    """Yields ``items`` in groups of ``group``; remembers what it was told.

    Plain payloads get the locators ``0``, ``1`` ...; Envelope and Unreadable are yielded as they are. What happens is
    appended to ``journal``, which several ends may share.
    """

    def __init__(
        self, items: Iterable[T | Envelope[T] | Unreadable], *, group: int = 2, journal: Journal | None = None
    ) -> None:
        self.items: list[Envelope[T] | Unreadable] = [
            item if isinstance(item, Envelope | Unreadable) else Envelope(item, str(number))
            for number, item in enumerate(items)
        ]
        self.acked: list[str] = []
        self.nacked: list[str] = []
        self.journal: Journal = [] if journal is None else journal
        self._group = group

    async def open(self) -> None:
        """Note that it was opened."""
        self.journal.append(("open", self))

    async def close(self) -> None:
        """Note that it was closed."""
        self.journal.append(("close", self))

    async def read(self) -> AsyncIterator[Sequence[Envelope[T] | Unreadable]]:
        """Yield the groups."""
        for start in range(0, len(self.items), self._group):
            yield self.items[start : start + self._group]

    async def ack(self, locators: Sequence[str]) -> None:
        """Remember what was delivered."""
        self.acked += locators
        self.journal.append(("ack", tuple(locators)))

    async def nack(self, letters: Sequence[DeadLetter]) -> None:
        """Remember what died."""
        self.nacked += [letter.locator for letter in letters]
        self.journal.append(("nack", tuple(letter.locator for letter in letters)))


class ListSink(BatchSink[T_contra], Generic[T_contra]):
    """Keeps what it is given in ``written``; ``judge`` may say what becomes of a payload, or raise."""

    def __init__(
        self, judge: Callable[[T_contra], Outcome | Exception] | None = None, *, journal: Journal | None = None
    ) -> None:
        self.written: list[Any] = []
        self.journal: Journal = [] if journal is None else journal
        self._judge = judge

    async def open(self) -> None:
        """Note that it was opened."""
        self.journal.append(("open", self))

    async def close(self) -> None:
        """Note that it was closed."""
        self.journal.append(("close", self))

    async def write_batch(self, items: Sequence[Envelope[T_contra]]) -> Sequence[Outcome | Exception]:
        """Keep the payloads that are not refused."""
        results = [self._judge(item.payload) if self._judge else Outcome.SENT for item in items]
        taken = [item for item, result in zip(items, results, strict=True) if isinstance(result, Outcome)]
        self.written += [item.payload for item in taken]
        self.journal.append(("write", tuple(item.locator for item in taken)))
        return results


class MemoryDeadLetters(DeadLetters):
    """Keeps letters in ``letters``, and those that were resolved in ``resolved``."""

    def __init__(self, *, journal: Journal | None = None) -> None:
        self.letters: list[DeadLetter] = []
        self.resolved: list[DeadLetter] = []
        self.journal: Journal = [] if journal is None else journal

    async def open(self) -> None:
        """Note that it was opened."""
        self.journal.append(("open", self))

    async def close(self) -> None:
        """Note that it was closed."""
        self.journal.append(("close", self))

    async def recall(self, items: Sequence[Envelope[Any]]) -> Mapping[str, Literal["open", "closed"]]:
        """Those with an open letter of the same bytes and stamp."""
        known = {(letter.locator, letter.raw, letter.stamp) for letter in self.letters}
        return {item.locator: "open" for item in items if (item.locator, item.raw, item.stamp) in known}

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Keep the letters."""
        self.letters += letters
        self.journal.append(("letter", tuple(letter.locator for letter in letters)))

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the letters of these locators."""
        locators = {item.locator for item in delivered}
        self.resolved += [letter for letter in self.letters if letter.locator in locators]
        self.letters = [letter for letter in self.letters if letter.locator not in locators]
