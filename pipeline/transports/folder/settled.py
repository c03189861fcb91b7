"""What becomes of an inbound file once all its records are settled: kept and remembered, archived or deleted."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from loguru import logger
from msgspec import Struct

from pipeline.dataflow.locators import place
from pipeline.dataflow.messages import DeadLetter
from pipeline.disk import in_thread
from pipeline.transports.folder.files import Opened, stamp_of
from pipeline.transports.folder.known import KnownFiles

__all__ = ["InboundAfter", "Settled", "Tally"]

InboundAfter: TypeAlias = Literal["keep", "archive", "delete"]
"""What becomes of an inbound file whose records are all settled."""

ARCHIVE: Final = "archive"


class Tally(Struct, gc=False):
    """The records of one file. Each count is changed by one thread alone."""

    state: os.stat_result | None
    read: int = 0
    """By the thread that reads, like ``is_whole``."""
    is_whole: bool = False
    """The file was read to its end."""
    delivered: int = 0
    dead: int = 0
    """Dead with their bytes in the letter."""

    @property
    def is_settled(self) -> bool:
        """Nothing is left to be said of the file."""
        return self.is_whole and self.read == self.delivered + self.dead


class Settled:
    """Counts the records of each file, and remembers, archives or deletes it with its last one.

    A record is settled when it is delivered, or dead with its bytes in the letter. A file that has changed since it was
    read stays, and so does one with a record that is left for the next run. Remembered is a file that is kept and whose
    records are all delivered.
    """

    def __init__(self, directory: Path, after: InboundAfter, known: KnownFiles | None = None) -> None:
        self._directory = directory
        self._after = after
        self._known = known
        self._files: dict[str, Tally] = {}

    def begin(self, file: Opened) -> Tally:
        """The file is going to be read; its records are counted in what is returned."""
        tally = Tally(file.state)
        self._files[file.name] = tally
        return tally

    def end(self, name: str, tally: Tally) -> None:
        """The file was read whole."""
        tally.is_whole = True
        if tally.is_settled:
            self._finish([name])

    async def ack(self, locators: Sequence[str]) -> None:
        """These records are delivered."""
        met = {}
        for locator in locators:
            name = self._file_of(locator)
            met[name] = tally = self._files[name]
            tally.delivered += 1
        await self._finish_settled(met)

    async def nack(self, letters: Sequence[DeadLetter]) -> None:
        """These records are dead."""
        met = {}
        for letter in letters:
            if letter.raw:
                name = self._file_of(letter.locator)
                met[name] = tally = self._files[name]
                tally.dead += 1
        await self._finish_settled(met)

    def _file_of(self, locator: str) -> str:
        return locator if locator in self._files else place(locator).file

    async def _finish_settled(self, files: Mapping[str, Tally]) -> None:
        done = [name for name, tally in files.items() if tally.is_settled]
        if self._after == "keep":
            self._finish(done)
        elif done:
            await in_thread(self._finish, done)

    def _finish(self, names: Sequence[str]) -> None:
        for name in names:
            tally = self._files.pop(name, None)
            if tally is None or tally.state is None:
                continue  # by the other thread already, or never there
            if self._after != "keep":
                self._put_away(name, tally.state)
            elif self._known is not None and not tally.dead:
                self._known.add(name, tally.state)

    def _put_away(self, name: str, state: os.stat_result) -> None:
        path = self._directory / name
        try:
            if stamp_of(path.stat()) != stamp_of(state):
                logger.info("{} has changed since it was read: it stays, the next run reads it", name)
            elif self._after == "delete":
                path.unlink()
            else:
                _move(path, path.parent / ARCHIVE)
        except OSError as error:
            logger.warning("{} could not be put away ({}): it stays where it is", name, error.strerror)


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
