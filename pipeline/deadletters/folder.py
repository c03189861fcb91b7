"""The dead-letter folder of one flow: letters written durably, found again, and resolved, never thrown away."""

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from pipeline.dataflow.locators import place
from pipeline.dataflow.messages import DeadLetter, Envelope
from pipeline.dataflow.ports import DeadLetters
from pipeline.deadletters.letter import Letter, again, as_json, first, key_of, key_of_name, name_of, read_letter
from pipeline.disk import in_thread, remove_leftovers, write_all, write_files
from pipeline.errors import Fatal
from pipeline.workorder import ExternalId, id_key

__all__ = ["DeadLetterFolder"]

RESOLVED: Final = "resolved.jsonl"


class DeadLetterFolder(DeadLetters):
    """Letters as JSON files in ``root/flow``, mode 0600: they hold what people wrote.

    ``identify`` reads an order's id from original bytes, however broken, and never raises. A letter is resolved, that
    is moved into ``resolved.jsonl`` beside it, when the same place and the same order have gone through; one about a
    whole file when any record of that file has.
    """

    def __init__(self, root: Path, *, flow: str, client: str, identify: Callable[[bytes], ExternalId | None]) -> None:
        self._directory = root / flow
        self._client = client
        self._identify = identify
        self._open: dict[str, set[str]] = defaultdict(set)
        """The open letters' names, by the source's key."""

    async def open(self) -> None:
        """Make the folder and list its letters; raises Fatal when it cannot be written into."""
        await in_thread(self._list)

    async def held(self, items: Sequence[Envelope[Any]]) -> set[str]:
        """Those that are dead already and have not been touched since."""
        if not self._open:
            return set()
        suspects = [item for item in items if self._is_open(item.locator, item.raw)]
        return await in_thread(self._unchanged, suspects) if suspects else set()

    async def write(self, letters: Sequence[DeadLetter]) -> None:
        """Put the letters aside in one thread hop; a failure met again raises ``attempts`` in its letter."""
        await in_thread(self._write, letters)

    async def resolve(self, delivered: Sequence[Envelope[Any]]) -> None:
        """Close the letters of what has gone through."""
        if not self._open:
            return
        suspects = [(item, names) for item in delivered if (names := self._names_for(item.locator))]
        if suspects:
            await in_thread(self._resolve, suspects)

    def _names_for(self, locator: str) -> set[str]:
        file = place(locator).file
        own = self._open.get(key_of(locator), set())
        return own if file == locator else own | self._open.get(key_of(file), set())

    def _is_open(self, locator: str, raw: bytes) -> bool:
        names = self._open.get(key_of(locator))
        return names is not None and name_of(locator, raw) in names

    def _list(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            remove_leftovers(self._directory)
            if not os.access(self._directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._open.clear()
            for path in self._directory.iterdir():
                self._remember(path.name)
        except OSError as error:
            raise self._unusable(error) from error

    def _remember(self, name: str) -> None:
        key = key_of_name(name)
        if key is not None:
            self._open[key].add(name)

    def _forget(self, name: str) -> None:
        key = key_of_name(name) or ""
        self._open[key].discard(name)
        if not self._open[key]:
            del self._open[key]

    def _unchanged(self, items: Iterable[Envelope[Any]]) -> set[str]:
        known = ((item, read_letter(self._directory / name_of(item.locator, item.raw))) for item in items)
        return {item.locator for item, letter in known if letter is not None and letter.stamp == item.stamp}

    def _write(self, letters: Iterable[DeadLetter]) -> None:
        files: dict[str, Letter] = {}
        for dead in letters:
            name = name_of(dead.locator, dead.raw)
            letter = first(dead, self._client, self._identify(dead.raw))
            before = files.get(name)
            if before is None and self._is_open(dead.locator, dead.raw):
                before = read_letter(self._directory / name)
            files[name] = letter if before is None else again(before, letter)
        try:
            write_files(self._directory, {name: as_json(letter) for name, letter in files.items()}, mode=0o600)
        except OSError as error:
            raise self._unusable(error) from error
        for name in files:
            self._remember(name)

    def _resolve(self, suspects: Iterable[tuple[Envelope[Any], set[str]]]) -> None:
        resolved: dict[str, Letter] = {}
        for item, names in suspects:
            for name in names:
                letter = read_letter(self._directory / name)
                if letter is not None and self._settles(item, letter):
                    resolved[name] = replace(letter, resolved_at=datetime.now(UTC))
        if not resolved:
            return
        try:
            self._archive(resolved.values())
            for name in resolved:
                (self._directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        for name in resolved:
            self._forget(name)

    def _settles(self, item: Envelope[Any], letter: Letter) -> bool:
        """Whether the item's delivery is what the letter was waiting for."""
        if letter.id is None:
            return letter.locator in (item.locator, place(item.locator).file)
        found = self._identify(item.raw)
        return letter.locator == item.locator and found is not None and id_key(found) == id_key(letter.id)

    def _archive(self, letters: Iterable[Letter]) -> None:
        """Append to the archive, durably: only then may the letters be removed."""
        file = os.open(self._directory / RESOLVED, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            write_all(file, b"".join(as_json(letter, indent=0) for letter in letters))
            os.fsync(file)
        finally:
            os.close(file)

    def _unusable(self, error: OSError) -> Fatal:
        return Fatal(
            f"cannot write into {self._directory} (DATA_DEAD_LETTER_DIR): {error.strerror}; nothing of the batch in "
            "hand is acked; make room or set the permissions right, then run again"
        )
