"""The folder that orders are read from: files in order, records in groups, a thread hop a group."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from loguru import logger

from pipeline.dataflow.messages import DeadLetter, Envelope, Spared, Unreadable
from pipeline.dataflow.ports import Progress, Source, Witness
from pipeline.disk import in_thread
from pipeline.errors import Fatal
from pipeline.transports.folder.files import Found, list_files, look_again, open_file
from pipeline.transports.folder.formats import JSON_FILES, FileFormat
from pipeline.transports.folder.known import KnownFiles
from pipeline.transports.folder.records import Part
from pipeline.transports.folder.settled import InboundAfter, Settled

__all__ = ["FolderSource"]

GROUP: Final = 1000
GROUP_BYTES: Final = 8 * 1024 * 1024
QUIET_SECONDS: Final = 1.0

Item: TypeAlias = Envelope[bytes] | Unreadable


class FolderSource(Source[bytes]):
    """Yields the records of the files in a folder, in the order of (modification time, name).

    ``form`` says which files, and what a record of them is; they may be gzipped. A file that was written less than a
    second ago is looked at again a second later: it is read if it has not changed, else left for the next run.
    ``after`` says what becomes of a file whose records are all settled; with ``known`` those that are kept are not read
    again before they change. ``setting`` is the name under which a person sets the folder, ``clock`` gives seconds
    since 1970.
    """

    def __init__(
        self,
        directory: Path,
        *,
        after: InboundAfter = "keep",
        form: FileFormat = JSON_FILES,
        known: KnownFiles | None = None,
        setting: str = "",
        quiet_seconds: float = QUIET_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._form = form
        self._called = f"the folder {directory}" + (f" ({setting})" if setting else "")
        self._quiet_seconds = quiet_seconds
        self._clock = clock
        self._known = known if after == "keep" else None
        self._settled = Settled(directory, after, self._known)
        self._is_there = True
        self._read = 0
        self._total: int | None = None

    @property
    def title(self) -> str:
        """The folder."""
        return str(self._directory)

    def progress(self) -> Progress:
        """How many of the files that lay there at the beginning have been read."""
        return Progress(self._read, self._total, "files")

    async def open(self) -> None:
        """See that the folder can be read; raises Fatal when it cannot. One that is not there holds nothing."""
        try:
            (await in_thread(os.scandir, self._directory)).close()
        except FileNotFoundError:
            logger.warning("{} is not there: nothing to read", self._called)
            self._is_there = False
        except OSError as error:
            raise Fatal(f"cannot read {self._called}: {error.strerror}; set it right, then run again") from error

    def rely_on(self, witness: Witness) -> None:
        """Leave known files unread, as long as ``witness`` holds."""
        if self._known is not None:
            self._known.rely_on(witness)

    async def read(self) -> AsyncIterator[Sequence[Item | Spared]]:
        """Yield the records in groups of at most 1,000, or about 8 MB."""
        if not self._is_there:
            return
        known = self._known
        if known is not None:
            await known.recall()
        found = await in_thread(list_files, self._directory, self._form, known.spares if known else None)
        if known is not None and known.spared:
            yield [Spared(known.spared)]
        self._read, self._total = 0, len(found)
        newest = (self._clock() - self._quiet_seconds) * 1e9
        quiet = [file for file in found if file.mtime_ns <= newest]
        fresh = found[len(quiet) :]
        async for group in self._groups(quiet):
            yield group
        if fresh:
            await asyncio.sleep(self._quiet_seconds)
            async for group in self._groups(await in_thread(self._unchanged, fresh)):
                yield group

    async def ack(self, locators: Sequence[str]) -> None:
        """These records are delivered."""
        await self._settled.ack(locators)

    async def nack(self, letters: Sequence[DeadLetter]) -> None:
        """These records are dead; a file whose bytes a letter could not take stays where it is."""
        await self._settled.nack(letters)

    async def finish(self) -> None:
        """Remember which files are known now."""
        if self._is_there and self._known is not None:
            await self._known.save()

    def _unchanged(self, fresh: Sequence[Found]) -> list[Found]:
        now = [look_again(self._directory, file) for file in fresh]
        for file, found in zip(fresh, now, strict=True):
            if found not in (file, None):
                logger.info("{} is still being written: left for the next run", file.name)
        return [file for file, found in zip(fresh, now, strict=True) if found == file]

    async def _groups(self, files: Iterable[Found]) -> AsyncIterator[list[Item]]:
        items = self._items(files)
        groups = _grouped(items)
        try:
            while group := await in_thread(next, groups, None):
                yield group
        finally:
            groups.close()
            items.close()

    def _items(self, files: Iterable[Found]) -> Generator[Item, None, None]:
        within = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for file in files:
                self._read += 1
                opened = open_file(self._directory, file, within)
                if opened is None:
                    continue
                stamp = opened.stamp
                tally = self._settled.begin(opened)
                for part in opened.parts(self._form):
                    tally.read += 1
                    locator = file.name + part.suffix
                    if isinstance(part, Part):
                        yield Envelope(part.raw, locator, part.raw, stamp)
                    else:
                        yield Unreadable(locator, (part.reason,), part.raw, stamp)
                self._settled.end(file.name, tally)
        finally:
            os.close(within)


def _grouped(items: Iterable[Item]) -> Generator[list[Item], None, None]:
    group: list[Item] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item.raw)
        if len(group) >= GROUP or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
