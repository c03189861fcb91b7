"""The dead-letter stage's end: failed items become letters, delivered ones close theirs, unchanged ones are held."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from loguru import logger

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import DeadLetter, Envelope, Outcome
from pipeline.dataflow.ports import DeadLetters
from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.letter import Closed, Letter, again, first, name_of
from pipeline.disk import in_thread
from pipeline.orders.workorder import ExternalId, id_key

__all__ = ["DeadLetterFolder", "Identify"]

OLD: Final = frozenset({Outcome.REPEAT, Outcome.STALE})
"""What is known already tells nothing of an order's other records."""

Identify = Callable[[bytes], ExternalId | None]
"""Reads an order's id from original bytes, however broken, and never raises."""


class DeadLetterFolder(DeadLetters):
    """Letters as JSON files in ``root/flow``, mode 0600: they hold what people wrote.

    A letter belongs to its order where an id could be read, else to its place. It is resolved, that is moved into
    ``resolved.jsonl`` beside it, when that place has gone through (for a whole file: any record of it), or when TracOS
    or the client has taken a newer record of that order from wherever it came; one that says no more than that a place
    cannot be read is resolved once it can be. Where that is broken off, a letter stays that nobody needs any more.
    """

    def __init__(self, root: Path, *, flow: str, client: str, identify: Identify) -> None:
        self._drawer = Drawer(root / flow)
        self._client = client
        self._identify = identify
        self._unseen: set[str] = set()
        """The names of those letters that were open when this was, and about what was not recalled since."""

    @property
    def title(self) -> str:
        """The folder."""
        return str(self._drawer.directory)

    async def open(self) -> None:
        """Make the folder, take it and list its letters; raises Fatal when that cannot be done."""
        await in_thread(self._drawer.open)
        self._unseen = self._drawer.open_names()

    async def close(self) -> None:
        """Give the folder back."""
        self._drawer.close()

    async def recall(
        self, items: Sequence[Envelope[Any]], *, but: Collection[str] = ()
    ) -> Mapping[Locator, Literal["open", "closed"]]:
        """Those that are dead already, or closed by a person, and have not been touched since."""
        if self._drawer.is_empty:
            return {}
        for item in items if self._unseen else ():
            self._unseen -= self._drawer.names(item.locator)
        suspects = [item for item in items if self._drawer.knows(item.locator, item.raw)]
        return await in_thread(self._states, suspects, but) if suspects else {}

    async def repeated(self, letters: Sequence[DeadLetter]) -> Collection[Locator]:
        """Those that an open letter says already."""
        if self._drawer.is_empty:
            return ()
        return await in_thread(lambda: {one.locator for one in letters if self._drawer.says(one)})

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Put the letters aside in one thread hop; a failure met again raises ``attempts`` in its letter."""
        await in_thread(self._write, letters)

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the letters of what has gone through."""
        if self._drawer.is_empty:
            return
        suspects = [
            item
            for item in delivered
            if item.payload not in OLD or self._at(item.locator) or self._taken_elsewhere(item)
        ]
        if suspects:
            await in_thread(self._resolve, suspects)

    async def close_unseen(self) -> None:
        """Close them as resolved: should what they are about come again, it is tried again."""
        if self._unseen:
            await in_thread(self._close_unseen)

    def _close_unseen(self) -> None:
        letters = {name: letter for name in self._unseen if (letter := self._drawer.read(name)) is not None}
        self._drawer.archive(letters, "resolved")
        self._unseen = set()

    def _states(self, items: Sequence[Envelope[Any]], but: Collection[str]) -> dict[Locator, Literal["open", "closed"]]:
        self._close_unread(items)
        states = ((item.locator, self._drawer.state(item.locator, item.raw, item.stamp, but)) for item in items)
        return {locator: state for locator, state in states if state is not None}

    def _at(self, locator: Locator) -> set[str]:
        """The letters about a place, and about all of what it is a part of."""
        return self._drawer.names(locator) | self._drawer.names(locator.whole)

    def _taken_elsewhere(self, item: Envelope[Any]) -> set[str]:
        """The letters about this very record, where it is known to have been taken from another place."""
        return self._drawer.telling(item.raw) if item.payload is Outcome.REPEAT else set()

    def _write(self, letters: Sequence[DeadLetter]) -> None:
        files: dict[str, Letter] = {}
        for dead in letters:
            name = name_of(dead.locator, dead.raw)
            letter = first(dead, self._client, self._identify(dead.raw))
            before = files.get(name)
            try:
                if before is None and self._drawer.is_open(name):
                    before = self._drawer.load(name)
            except PermissionError as error:  # it holds the same bytes, and perhaps what a person has mended
                logger.warning("the dead letter {} cannot be read, and stays as it is: {}", name, error.strerror)
                continue
            files[name] = letter if before is None else again(before, letter)
        self._drawer.write(files)
        self._close_unread(letters)

    def _close_unread(self, items: Iterable[Envelope[Any] | DeadLetter]) -> None:
        """Close the letters that say no more of a place than that it cannot be read: these come from there."""
        places = {place for item in items if item.raw for place in (item.locator, item.locator.whole)}
        names = [name for place in places if self._drawer.is_open(name := name_of(place, b""))]
        self._drawer.archive({name: letter for name in names if (letter := self._drawer.read(name))}, "resolved")

    def _resolve(self, delivered: Iterable[Envelope[Any]]) -> None:
        closing: dict[Closed, dict[str, Letter]] = {"resolved": {}, "overtaken": {}}
        for item in delivered:
            order_id = self._identify(item.raw)
            names = self._at(item.locator)
            if order_id is not None and item.payload not in OLD:
                names = names | self._drawer.about(order_id)
            names = names | self._taken_elsewhere(item)
            for name in names:
                letter = self._drawer.read(name)
                how = None if letter is None else _closed_by(item, order_id, letter)
                if letter is not None and how is not None:
                    closing[how][name] = letter
        for how, letters in closing.items():
            self._drawer.archive(letters, how)


def _closed_by(item: Envelope[Any], order_id: ExternalId | None, letter: Letter) -> Closed | None:
    """How the item's delivery closes the letter, if it is what that was waiting for."""
    where = letter.where
    if letter.id is None:
        return "resolved" if where in (item.locator, item.locator.whole) else None
    if order_id is None or id_key(order_id) != id_key(letter.id):
        return None
    if where == item.locator or (
        letter.stage == "deliver" and item.payload is Outcome.REPEAT and letter.raw == item.raw
    ):
        return "resolved"
    came_before = letter.arrival is not None and item.arrival is not None and item.arrival < letter.arrival
    return None if item.payload in OLD or came_before else "overtaken"
