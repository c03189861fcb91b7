"""What becomes of an inbound file once all its records are settled: kept, archived or deleted."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Final, Literal, TypeAlias

from loguru import logger
from msgspec import Struct

from pipeline.clients.folder.files import stamp_of
from pipeline.dataflow.locators import place
from pipeline.dataflow.messages import DeadLetter
from pipeline.disk import in_thread

__all__ = ["InboundAfter", "Settled"]

InboundAfter: TypeAlias = Literal["keep", "archive", "delete"]
"""What becomes of an inbound file whose records are all settled."""

ARCHIVE: Final = "archive"


class _Open(Struct):
    """A file of which not every record is settled yet."""

    stamp: str
    left: int = 0
    is_read: bool = False


class Settled:
    """Counts the records of each file, and archives or deletes it with its last one.

    A record is settled when it is delivered, or dead with its bytes in the letter. A file that has changed since it was
    read stays, and so does one with a record that is left for the next run.
    """

    def __init__(self, directory: Path, after: InboundAfter) -> None:
        self._directory = directory
        self._after = after
        self._files: dict[str, _Open] = {}
        self._lock = Lock()  # records are counted in the thread that reads ahead, and settled in the loop

    def begin(self, name: str, stamp: str) -> None:
        """The file is going to be read."""
        if self._after != "keep":
            with self._lock:
                self._files[name] = _Open(stamp)

    def count(self, name: str) -> None:
        """One more record was read of the file."""
        if self._after != "keep":
            with self._lock:
                self._files[name].left += 1

    def end(self, name: str) -> None:
        """The file was read whole."""
        if self._after != "keep":
            with self._lock:
                self._files[name].is_read = True
            self._finish([name])

    async def ack(self, locators: Sequence[str]) -> None:
        """These records are delivered."""
        await self._settle(locators)

    async def nack(self, letters: Sequence[DeadLetter]) -> None:
        """These records are dead."""
        await self._settle([letter.locator for letter in letters if letter.raw])

    async def _settle(self, locators: Iterable[str]) -> None:
        if self._after == "keep":
            return
        counts = Counter(place(locator).file for locator in locators)
        with self._lock:
            for name, count in counts.items():
                self._files[name].left -= count
        await in_thread(self._finish, list(counts))

    def _finish(self, names: Sequence[str]) -> None:
        """Put those files away that are read and settled."""
        with self._lock:
            files = {name: self._files[name] for name in names if name in self._files}
            done = {name: file.stamp for name, file in files.items() if file.is_read and file.left == 0}
            for name in done:
                del self._files[name]
        for name, stamp in done.items():
            try:
                self._put_away(self._directory / name, stamp)
            except OSError as error:
                logger.warning("{} could not be put away ({}): it stays where it is", name, error.strerror)

    def _put_away(self, path: Path, stamp: str) -> None:
        if stamp_of(path.stat()) != stamp:
            logger.info("{} has changed since it was read: it stays, the next run reads it", path.name)
        elif self._after == "delete":
            path.unlink()
        else:
            _move(path, path.parent / ARCHIVE)


def _move(path: Path, archive: Path) -> None:
    """Move ``path`` into ``archive`` and overwrite nothing there."""
    archive.mkdir(exist_ok=True)
    names = (path.name, *(f"{path.name}.{number}" for number in range(1, 10_000)))
    for name in names:
        try:
            os.link(path, archive / name)
        except FileExistsError:
            continue
        path.unlink()
        return
