"""The folder that orders are read from: files in order, records in groups, a thread hop a group."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from loguru import logger

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Empty, Envelope, Fate, Spared, Unreadable
from pipeline.dataflow.ports import Progress, Source
from pipeline.disk import in_thread
from pipeline.errors import Fatal, See
from pipeline.transports.folder.files import Found, Opened, list_files, look_again, open_file, place_of
from pipeline.transports.folder.formats import JSON_FILES, FileFormat
from pipeline.transports.folder.known import KnownFiles
from pipeline.transports.folder.records import Part
from pipeline.transports.folder.settled import InboundAfter, Settled, places_of_asides
from pipeline.transports.folder.unread import Unread

__all__ = ["FolderSource"]

GROUP: Final = 1000
GROUP_BYTES: Final = 8 * 1024 * 1024
QUIET_SECONDS: Final = 1.0

Item: TypeAlias = Envelope[bytes] | Unreadable | Empty


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
        self._is_listed = False
        self._asides: Mapping[str, str] = {}
        """The places of files whose putting away was broken off, by name."""
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
            await in_thread(lambda: os.scandir(self._directory).close())
        except FileNotFoundError:
            logger.warning("{} is not there: nothing to read", self._called)
            self._is_there = False
        except OSError as error:
            raise self._unreadable(error) from error

    async def close(self) -> None:
        """Remember which files are known now."""
        if self._is_listed and self._known is not None:
            await self._known.save()

    @property
    def pending(self) -> int:
        """How many records are not settled yet."""
        return self._settled.pending

    async def read(self) -> AsyncIterator[Sequence[Item | Spared]]:
        """Yield the records in groups of at most 1,000, or about 8 MB."""
        if not self._is_there:
            return
        known = self._known
        if known is not None:
            await known.recall()
        unread = Unread(self._form)
        spare = known.spares if known else None
        try:
            found = await in_thread(list_files, self._directory, self._form, spare, unread)
        except OSError as error:
            raise self._unreadable(error) from error
        self._is_listed = True
        self._asides = places_of_asides([file.name for file in found])
        if unread:
            logger.warning("{}: {}", self._called, unread)
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

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """Count these records; a file that is done with them is put away, or remembered."""
        await self._settled.settle(fates)

    def _unreadable(self, error: OSError) -> Fatal:
        return Fatal(f"cannot read {self._called}: {error.strerror}; set it right, then run again", see=See.FILES)

    def _unchanged(self, fresh: Sequence[Found]) -> list[Found]:
        now = [look_again(self._directory, file) for file in fresh]
        for file, found in zip(fresh, now, strict=True):
            if found not in (file, None):
                logger.info("{} is still being written: left for the next run", place_of(file.name))
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
        try:
            within = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            for file in files:
                self._read += 1
                try:
                    opened = open_file(self._directory, file, within)
                except OSError as error:
                    raise self._unreadable(error) from error
                if opened is not None:
                    yield from self._records(self._asides.get(file.name) or place_of(file.name), opened)
        finally:
            os.close(within)

    def _records(self, place: str, opened: Opened) -> Iterator[Item]:
        stamp, came = opened.stamp, opened.state.st_mtime_ns if opened.state else 0
        tally = self._settled.begin(place, opened)
        parts = opened.parts(self._form)
        part = next(parts, None)
        if part is None:
            tally.given, tally.is_whole = 1, True
            yield Empty(Locator(place))
        while part is not None:
            following = next(parts, None)
            tally.given += 1
            tally.is_whole = following is None
            if isinstance(part, Part):
                if not part.is_understood:
                    tally.stays = True
                yield Envelope(part.raw, Locator(place, part.suffix), part.raw, stamp, (came, place, tally.given))
            else:
                if not (part.suffix and part.raw):
                    tally.stays = True
                yield Unreadable(Locator(place, part.suffix), (part.reason,), part.raw, stamp)
            part = following


def _grouped(items: Iterable[Item]) -> Generator[list[Item], None, None]:
    group: list[Item] = []
    size = 0
    for item in items:
        group.append(item)
        size += 0 if isinstance(item, Empty) else len(item.raw)
        if len(group) >= GROUP or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
