"""The ends of a retry: open letters as a source, and the same letters again where their items succeed or fail."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import DeadLetter, Envelope, Unreadable
from pipeline.dataflow.ports import DeadLetters, Progress, Source
from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.folder import Identify
from pipeline.deadletters.letter import Letter
from pipeline.disk import in_thread

__all__ = ["AgainFolder", "LetterSource", "RetriedLetters"]

GROUP: Final = 200


class LetterSource(Source[bytes]):
    """Yields what letters hold, under the locators that it came from; each item's stamp is its letter's name."""

    def __init__(self, drawer: Drawer, names: Sequence[str]) -> None:
        self._drawer = drawer
        self._names = names
        self._read = 0

    @property
    def title(self) -> str:
        """The folder of the letters."""
        return str(self._drawer.directory)

    def progress(self) -> Progress:
        """How many of the letters have been read."""
        return Progress(self._read, len(self._names), "letters")

    async def read(self) -> AsyncIterator[Sequence[Envelope[bytes] | Unreadable]]:
        """Yield the letters in groups; one that is gone meanwhile is left out."""
        for start in range(0, len(self._names), GROUP):
            names = self._names[start : start + GROUP]
            yield await in_thread(self._envelopes, names)
            self._read += len(names)

    def _envelopes(self, names: Sequence[str]) -> list[Envelope[bytes]]:
        letters = ((name, self._drawer.read(name)) for name in names)
        return [
            Envelope(letter.payload, letter.where, letter.payload, name)
            for name, letter in letters
            if letter is not None
        ]


class RetriedLetters(DeadLetters):
    """Closes the letters of what goes through, and raises ``attempts`` in those of what fails again, as ``by`` had it.

    All of it may be interrupted at any instant and done again: what was delivered already is a repeat to the sink.
    """

    def __init__(self, drawer: Drawer, identify: Identify, by: str = "") -> None:
        self._drawer = drawer
        self._identify = identify
        self._by = by

    async def open(self) -> None:
        """Take the folder."""
        await in_thread(self._drawer.open)

    async def close(self) -> None:
        """Give the folder back."""
        self._drawer.close()

    async def recall(
        self, items: Sequence[Envelope[Any]], *, but: Collection[str] = ()
    ) -> Mapping[Locator, Literal["open", "closed"]]:
        """None: a retry tries all that it was given."""
        return {}

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Note the new failure in the letter that was retried."""
        await in_thread(self._write, letters)

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the letters that went through."""
        await in_thread(self._close, [item.stamp for item in delivered])

    def _write(self, letters: Sequence[DeadLetter]) -> None:
        again: dict[str, Letter] = {}
        for dead in letters:
            letter = self._drawer.read(dead.stamp)
            if letter is not None:
                again[dead.stamp] = replace(
                    letter,
                    stage=dead.stage,
                    reasons=dead.reasons,
                    last_seen=dead.at,
                    attempts=letter.attempts + 1,
                    retried_by=self._by,
                    id=letter.id if letter.mended is None else self._identify(dead.raw),
                )
        self._drawer.write(again)

    def _close(self, names: Sequence[str]) -> None:
        letters = {name: letter for name in names if (letter := self._drawer.read(name)) is not None}
        self._drawer.archive(letters, "retried", self._by)


class AgainFolder(DeadLetters):
    """Another folder of dead letters, but nothing is held back: all is tried again."""

    def __init__(self, folder: DeadLetters) -> None:
        self._folder = folder

    @property
    def title(self) -> str:
        """The folder's."""
        return self._folder.title

    async def open(self) -> None:
        """Open the folder."""
        await self._folder.open()

    async def close(self) -> None:
        """Close the folder."""
        await self._folder.close()

    async def recall(
        self, items: Sequence[Envelope[Any]], *, but: Collection[str] = ()
    ) -> Mapping[Locator, Literal["open", "closed"]]:
        """None."""
        return {}

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Put the letters aside in the folder."""
        await self._folder.write(letters)

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the letters of what has gone through."""
        await self._folder.resolve(delivered)
