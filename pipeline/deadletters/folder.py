"""The dead-letter stage's end: failed items become letters, delivered ones close theirs, unchanged ones are held."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pipeline.dataflow.locators import place
from pipeline.dataflow.messages import DeadLetter, Envelope
from pipeline.dataflow.ports import DeadLetters
from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.letter import Letter, again, first, name_of
from pipeline.disk import in_thread
from pipeline.orders.workorder import ExternalId, id_key

__all__ = ["DeadLetterFolder", "Identify"]

Identify = Callable[[bytes], ExternalId | None]
"""Reads an order's id from original bytes, however broken, and never raises."""


class DeadLetterFolder(DeadLetters):
    """Letters as JSON files in ``root/flow``, mode 0600: they hold what people wrote.

    A letter is resolved, that is moved into ``resolved.jsonl`` beside it, when the same place and the same order have
    gone through; one about a whole file when any record of that file has.
    """

    def __init__(self, root: Path, *, flow: str, client: str, identify: Identify) -> None:
        self._drawer = Drawer(root / flow)
        self._client = client
        self._identify = identify

    @property
    def title(self) -> str:
        """The folder."""
        return str(self._drawer.directory)

    async def open(self) -> None:
        """Make the folder, take it and list its letters; raises Fatal when that cannot be done."""
        await in_thread(self._drawer.open)

    async def close(self) -> None:
        """Give the folder back."""
        self._drawer.close()

    async def recall(self, items: Sequence[Envelope[Any]]) -> Mapping[str, Literal["open", "closed"]]:
        """Those that are dead already, or closed by a person, and have not been touched since."""
        if self._drawer.is_empty:
            return {}
        suspects = [item for item in items if self._drawer.knows(item.locator, item.raw)]
        return await in_thread(self._states, suspects) if suspects else {}

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Put the letters aside in one thread hop; a failure met again raises ``attempts`` in its letter."""
        await in_thread(self._write, letters)

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the letters of what has gone through."""
        if self._drawer.is_empty:
            return
        suspects = [(item, names) for item in delivered if (names := self._names_for(item.locator))]
        if suspects:
            await in_thread(self._resolve, suspects)

    def _states(self, items: Iterable[Envelope[Any]]) -> dict[str, Literal["open", "closed"]]:
        states = ((item.locator, self._drawer.state(item.locator, item.raw, item.stamp)) for item in items)
        return {locator: state for locator, state in states if state is not None}

    def _names_for(self, locator: str) -> set[str]:
        file = place(locator).file
        own = self._drawer.names(locator)
        return own if file == locator else own | self._drawer.names(file)

    def _write(self, letters: Iterable[DeadLetter]) -> None:
        files: dict[str, Letter] = {}
        for dead in letters:
            name = name_of(dead.locator, dead.raw)
            letter = first(dead, self._client, self._identify(dead.raw))
            before = files.get(name)
            if before is None and self._drawer.is_open(name):
                before = self._drawer.read(name)
            files[name] = letter if before is None else again(before, letter)
        self._drawer.write(files)

    def _resolve(self, suspects: Iterable[tuple[Envelope[Any], set[str]]]) -> None:
        found = {
            name: letter
            for item, names in suspects
            for name in names
            if (letter := self._drawer.read(name)) is not None and self._settles(item, letter)
        }
        self._drawer.archive(found, "resolved")

    def _settles(self, item: Envelope[Any], letter: Letter) -> bool:
        """Whether the item's delivery is what the letter was waiting for."""
        if letter.id is None:
            return letter.locator in (item.locator, place(item.locator).file)
        found = self._identify(item.raw)
        return letter.locator == item.locator and found is not None and id_key(found) == id_key(letter.id)
