"""The files of an inbound folder: listed in order, opened with care, read record by record."""

import gzip
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias, cast

from loguru import logger
from msgspec import Struct

from pipeline.dataflow.locators import Locator
from pipeline.errors import Reason
from pipeline.transports.folder.formats import FileFormat
from pipeline.transports.folder.records import UNREADABLE, Broken, Part, Readable, unreadable
from pipeline.transports.folder.unread import Unread

__all__ = [
    "Found",
    "Opened",
    "Spare",
    "list_files",
    "look_again",
    "open_file",
    "place_of",
    "stamp_of",
]

Spare: TypeAlias = Callable[[str, os.stat_result], bool]
"""Whether the file of this name and state need not be looked at again."""


_LIKE_A_PLACE: Final = re.compile(r"%(?:25)*[89A-F][0-9A-F]")


class Found(Struct, frozen=True, order=True, gc=False):
    """A file as the folder's listing shows it; sorts in the order of reading.

    There may be a million of them: with ``gc=False`` the collector does not go through them all time and again.
    """

    mtime_ns: int
    name: str
    is_link: bool


class Opened(Struct, frozen=True, gc=False):
    """A file in hand: what it is now, and its bytes, or the reason why it has none for us."""

    name: str
    state: os.stat_result | None
    """None where nothing is there any more."""
    descriptor: int | None = None
    reason: Reason | None = None

    @property
    def stamp(self) -> str:
        """The state as a text."""
        return "" if self.state is None else stamp_of(self.state)

    def parts(self, form: FileFormat) -> Iterator[Part | Broken]:
        """The records; whatever is wrong comes as Broken, nothing is raised. The file is closed at the end."""
        if self.descriptor is None:
            if self.reason is not None:
                yield Broken("", self.reason)
            return
        try:
            stream: Readable = _Plain(self.descriptor)
            name = self.name.lower()
            if name.endswith(".gz"):
                plain = os.fdopen(self.descriptor, "rb", closefd=False)
                stream = cast("Readable", gzip.GzipFile(fileobj=plain))
            yield from form.records(name.removesuffix(".gz"), stream)
        except UNREADABLE as error:
            yield Broken("", unreadable(error))
        finally:
            os.close(self.descriptor)


def place_of(name: str) -> str:
    """The place of the file ``name``: the name itself where it is UTF-8; two names never have one place.

    What is no UTF-8 is percent-encoded; a name that looks like such a place has its own percent signs encoded.
    """
    if name.isascii() and "%" not in name:
        return name
    place = Locator(name).place
    if place != name:
        return Locator(name.replace("%", "%25")).place
    return name.replace("%", "%25") if _LIKE_A_PLACE.search(name) else name


def stamp_of(state: os.stat_result) -> str:
    """Changes when somebody writes, touches or replaces the file, or changes its permissions."""
    return f"{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}:{state.st_ino}"


def list_files(
    directory: Path, form: FileFormat, spare: Spare | None = None, unread: Unread | None = None
) -> list[Found]:
    """What lies in ``directory`` under the names of ``form``, in any case, in the order of (modification time, name).

    Without those that ``spare`` holds true of; ``unread`` notes all else. Names may hold lone surrogates, for bytes
    that are no UTF-8.
    """
    endings = form.endings
    found: list[Found] = []
    within = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)  # by path each look at a file would cost more
    try:
        with os.scandir(within) as entries:
            for entry in entries:
                name = entry.name
                lower = name.lower()
                if not lower.endswith(endings):
                    if unread is not None:
                        unread.note(entry)
                    continue
                try:
                    state: os.stat_result | None = entry.stat()
                except OSError:
                    state = _dangling(entry)
                if state is not None and (spare is None or not spare(place_of(name), state)) and lower not in endings:
                    found.append(Found(state.st_mtime_ns, name, entry.is_symlink()))
    finally:
        os.close(within)
    return sorted(found)


def look_again(directory: Path, file: Found) -> Found | None:
    """The file as a listing would show it now; None where it is gone."""
    path = directory / file.name
    try:
        state: os.stat_result | None = path.stat()
    except OSError:
        state = _dangling(path)
    return None if state is None else Found(state.st_mtime_ns, file.name, path.is_symlink())


def open_file(directory: Path, file: Found, within: int) -> Opened | None:
    """Open a file that was found; None where it is gone, or somebody is writing it again: left for the next run.

    ``within`` is a descriptor of ``directory``: opening by path costs more than reading a small file.
    """
    if file.is_link and not (directory / file.name).resolve().is_relative_to(directory.resolve()):
        state = _state(file.name, within)
        if state is not None:
            reason = Reason("a link out of the folder: copy the file itself into the folder")
            return Opened(file.name, state, reason=reason)
    try:
        # Without O_NONBLOCK a FIFO of this name would be waited for.
        descriptor = os.open(file.name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=within)
    except OSError as error:
        state = _state(file.name, within)
        if state is None and isinstance(error, FileNotFoundError) and not file.is_link:
            logger.info("{} is gone since the folder was listed", place_of(file.name))
            return None
        return Opened(file.name, state, reason=(state and _refusal(state)) or unreadable(error))
    state = os.fstat(descriptor)
    refusal = _refusal(state)
    if refusal is None and state.st_mtime_ns == file.mtime_ns:
        return Opened(file.name, state, descriptor)
    os.close(descriptor)
    if refusal is None:
        logger.info("{} is being written again: left for the next run", place_of(file.name))
        return None
    return Opened(file.name, state, reason=refusal)


def _dangling(entry: "os.DirEntry[str] | Path") -> os.stat_result | None:
    """The state of a link that leads nowhere; None where there is none: it was removed, and is nobody's order."""
    return entry.stat(follow_symlinks=False) if entry.is_symlink() else None


def _state(name: str, within: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=within)
    except OSError:
        return None


def _refusal(state: os.stat_result) -> Reason | None:
    if stat.S_ISREG(state.st_mode):
        return None
    return Reason("not a file: move the folder, pipe or device of this name away")


class _Plain:
    """A descriptor as a Readable."""

    def __init__(self, opened: int) -> None:
        self._opened = opened

    def read(self, size: int, /) -> bytes:
        return os.read(self._opened, size)
