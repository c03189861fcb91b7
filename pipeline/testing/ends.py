"""In-memory ends of chains."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeVar

from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import BatchResult, DeadLetter, Empty, Envelope, Fate, Outcome, Unreadable
from pipeline.dataflow.ports import BatchSink, DeadLetters, Source

__all__ = ["ListSink", "ListSource", "MemoryDeadLetters"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

Journal = list[tuple[str, Any]]
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class ListSource(Source[T], Generic[T]):
    """Yields ``items`` in groups of ``group``; remembers what it was told.

    Plain payloads get the locators ``0``, ``1`` ...; Envelope, Unreadable and Empty are yielded as they are. What
    happens is appended to ``journal``, which several ends may share.
    """

    def __init__(
        self, items: Iterable[T | Envelope[T] | Unreadable | Empty], *, group: int = 2, journal: Journal | None = None
    ) -> None:
        self.items: list[Envelope[T] | Unreadable | Empty] = [
            item if isinstance(item, Envelope | Unreadable | Empty) else Envelope(item, Locator(str(number)))
            for number, item in enumerate(items)
        ]
        self.fates: dict[str, Fate] = {}
        """What became of each item, by the text of its locator."""
        self.journal: Journal = [] if journal is None else journal
        self._group = group
        self._given = 0

    async def open(self) -> None:
        """Note that it was opened."""
        self.journal.append(("open", self))

    async def close(self) -> None:
        """Note that it was closed."""
        self.journal.append(("close", self))

    async def read(self) -> AsyncIterator[Sequence[Envelope[T] | Unreadable | Empty]]:
        """Yield the groups."""
        for start in range(0, len(self.items), self._group):
            group = self.items[start : start + self._group]
            self._given += len(group)
            yield group

    @property
    def pending(self) -> int:
        """How many items it gave that are not settled."""
        return self._given - len(self.fates)

    @property
    def acked(self) -> list[str]:
        """What was delivered, or skipped on purpose."""
        return [locator for locator, fate in self.fates.items() if fate in (Fate.DELIVERED, Fate.SKIPPED)]

    @property
    def dead(self) -> list[str]:
        """What died."""
        return [locator for locator, fate in self.fates.items() if fate is Fate.DEAD]

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """Remember what became of the items."""
        told = {str(locator): fate for locator, fate in fates.items()}
        twice = told.keys() & self.fates.keys()
        if twice:
            raise RuntimeError(f"settled twice: {sorted(twice)}")
        self.fates |= told
        self.journal.append(("settle", told))


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

    async def write_batch(self, items: Sequence[Envelope[T_contra]]) -> BatchResult:
        """Keep the payloads that are not refused."""
        results = [self._judge(item.payload) if self._judge else Outcome.SENT for item in items]
        taken = [item for item, result in zip(items, results, strict=True) if isinstance(result, Outcome)]
        self.written += [item.payload for item in taken]
        self.journal.append(("write", tuple(str(item.locator) for item in taken)))
        return BatchResult(results)


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

    async def recall(
        self, items: Sequence[Envelope[Any]], *, but: Collection[str] = ()
    ) -> Mapping[Locator, Literal["open", "closed"]]:
        """Those with an open letter of the same bytes and stamp."""
        known = {(one.locator, one.raw, one.stamp) for one in self.letters if one.stage not in but}
        return {item.locator: "open" for item in items if (item.locator, item.raw, item.stamp) in known}

    async def repeated(self, letters: Sequence[DeadLetter]) -> Collection[Locator]:
        """Those that are there already."""
        known = [replace(one, at=EPOCH) for one in self.letters]
        return {one.locator for one in letters if replace(one, at=EPOCH) in known}

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Keep the letters."""
        self.letters += letters
        self.journal.append(("letter", tuple(str(letter.locator) for letter in letters)))

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the letters of these locators."""
        locators = {item.locator for item in delivered}
        self.resolved += [letter for letter in self.letters if letter.locator in locators]
        self.letters = [letter for letter in self.letters if letter.locator not in locators]
