"""The files of an inbound folder: listed in order, opened with care, read record by record."""

import gzip
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from loguru import logger
from msgspec import Struct

from pipeline.clients.folder.formats import FileFormat
from pipeline.clients.folder.records import UNREADABLE, Broken, Part, Readable, unreadable
from pipeline.errors import Reason

__all__ = ["Found", "list_files", "read_file", "stamp_of", "state_of"]


class Found(Struct, frozen=True, order=True, gc=False):
    """A file as the folder's listing shows it; sorts in the order of reading.

    There may be a million of them: with ``gc=False`` the collector does not go through them all time and again.
    """

    mtime_ns: int
    name: str
    is_link: bool


def stamp_of(state: os.stat_result) -> str:
    """Changes when somebody writes, touches or replaces the file, or changes its permissions."""
    return f"{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}:{state.st_ino}"


def list_files(directory: Path, form: FileFormat) -> list[Found]:
    """What lies in ``directory`` under the names of ``form``, in the order of (modification time, name)."""
    names = form.names
    with os.scandir(directory) as entries:
        found = [_found(entry) for entry in entries if names.fullmatch(entry.name)]
    return sorted(file for file in found if file is not None)


def state_of(file: Found, within: int) -> os.stat_result | None:
    """What the file is now, in the folder that ``within`` is a descriptor of; None where nothing is there any more."""
    try:
        return os.stat(file.name, dir_fd=within)
    except OSError:
        return None


def read_file(
    directory: Path, file: Found, state: os.stat_result | None, form: FileFormat, *, within: int
) -> Iterator[Part | Broken]:
    """The records of one file; whatever is wrong with it comes as Broken, nothing is raised.

    ``within`` is a descriptor of ``directory``: opening by path costs more than reading a small file.
    """
    refused = state and _refused(directory, file, state)
    if refused:
        yield Broken("", Reason(refused))
        return
    if state and state.st_mtime_ns != file.mtime_ns:
        logger.info("{} is being written again: left for the next run", file.name)
        return
    try:
        # Without O_NONBLOCK a FIFO that has taken the file's place would be waited for.
        opened = os.open(file.name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=within)
    except OSError as error:
        yield Broken("", unreadable(error))
        return
    try:
        yield from _records(file.name, opened, form)
    finally:
        os.close(opened)


def _found(entry: "os.DirEntry[str]") -> Found | None:
    is_link = entry.is_symlink()
    try:
        state = entry.stat()
    except OSError:
        if not is_link:
            return None  # removed since the folder was listed: nobody's order any more
        state = entry.stat(follow_symlinks=False)
    return Found(state.st_mtime_ns, entry.name, is_link)


def _refused(directory: Path, file: Found, state: os.stat_result) -> str | None:
    if not stat.S_ISREG(state.st_mode):
        return "not a file: move the folder, pipe or device of this name away"
    if file.is_link and not (directory / file.name).resolve().is_relative_to(directory.resolve()):
        return "a link out of the folder: copy the file itself into the folder"
    return None


def _records(name: str, opened: int, form: FileFormat) -> Iterator[Part | Broken]:
    stream: Readable = _Plain(opened)
    if name.endswith(".gz"):
        stream = cast("Readable", gzip.GzipFile(fileobj=os.fdopen(opened, "rb", closefd=False)))
    try:
        yield from form.records(name.removesuffix(".gz"), stream)
    except UNREADABLE as error:
        yield Broken("", unreadable(error))


class _Plain:
    """A descriptor as a Readable."""

    def __init__(self, opened: int) -> None:
        self._opened = opened

    def read(self, size: int, /) -> bytes:
        return os.read(self._opened, size)
