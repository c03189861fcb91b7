"""The files of an inbound folder: listed in order, opened with care, read record by record."""

import errno
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


OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of opening that say nothing of the file."""


READING: Final = os.O_RDONLY | os.O_NONBLOCK
"""How a file is opened: otherwise a FIFO of its name would be waited for."""


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
            name = self.name.lower()
            if name.endswith(".gz"):
                plain = os.fdopen(self.descriptor, "rb", closefd=False)
                yield from form.records(name.removesuffix(".gz"), cast("Readable", gzip.GzipFile(fileobj=plain)))
            else:
                yield from form.records(name, _Plain(self.descriptor))
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
                if lower in endings:
                    continue
                file = _found(entry, spare)
                if file is not None:
                    found.append(file)
    finally:
        os.close(within)
    return sorted(found)


def look_again(directory: Path, file: Found) -> Found | None:
    """The file as a listing would show it now; None where it is gone."""
    return _found(directory / file.name)


def open_file(directory: Path, file: Found, within: int) -> Opened | None:
    """Open a file that was found; None where it is gone, or somebody is writing it again: left for the next run.

    ``within`` is a descriptor of ``directory``: opening by path costs more than reading a small file. Raises OSError
    for what is no affair of this file's: no other could be opened either.
    """
    if file.is_link and _leads_out(directory, file.name) and (state := _state(file.name, within)) is not None:
        return Opened(file.name, state, reason=Reason("a link out of the folder: copy the file itself into the folder"))
    try:
        descriptor = os.open(file.name, READING, dir_fd=within)
    except OSError as error:
        if error.errno in OURS:
            raise
        state = _state(file.name, within)
        if state is None and isinstance(error, FileNotFoundError) and not file.is_link:
            logger.info("{} is gone since the folder was listed", place_of(file.name))
            return None
        return Opened(file.name, state, reason=(state and _refusal(state)) or unreadable(error))
    return _looked_at(file, descriptor)


def _looked_at(file: Found, descriptor: int) -> Opened | None:
    """The file in hand, unless somebody writes it again, or it is none."""
    try:
        state = os.fstat(descriptor)
    except OSError as error:
        os.close(descriptor)
        return Opened(file.name, None, reason=unreadable(error))
    if state.st_mtime_ns == file.mtime_ns and stat.S_ISREG(state.st_mode):
        return Opened(file.name, state, descriptor)
    os.close(descriptor)
    if refusal := _refusal(state):
        return Opened(file.name, state, reason=refusal)
    logger.info("{} is being written again: left for the next run", place_of(file.name))
    return None


def _leads_out(directory: Path, name: str) -> bool:
    """Whether the link leads to a place outside of the folder; one that goes round in circles leads nowhere."""
    return not Path(os.path.realpath(directory / name)).is_relative_to(directory.resolve())


def _found(entry: "os.DirEntry[str] | Path", spare: Spare | None = None) -> Found | None:
    """What is found of one entry; None where ``spare`` holds true, or it was removed: then it is nobody's order.

    A link that leads nowhere is found as it is itself, and one that cannot be looked at as the oldest of all: what ails
    it is told when it is opened.
    """
    try:
        is_link = entry.is_symlink()
        try:
            state = entry.stat()
        except OSError:
            if not is_link:
                raise
            state = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError:
        return Found(0, entry.name, is_link=False)
    if spare is not None and spare(place_of(entry.name), state):
        return None
    return Found(state.st_mtime_ns, entry.name, is_link)


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

    __slots__ = ("_opened",)

    def __init__(self, opened: int) -> None:
        self._opened = opened

    def read(self, size: int, /) -> bytes:
        return os.read(self._opened, size)
