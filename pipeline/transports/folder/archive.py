"""The files that were put away once they were done: what of them is not to be kept."""

import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from loguru import logger

from pipeline.disk import LEFTOVER, write_all
from pipeline.errors import Fatal, See
from pipeline.transports.folder.files import Opened, place_of
from pipeline.transports.folder.formats import FileFormat
from pipeline.transports.folder.records import Broken, Part

__all__ = ["erase_archived"]

GZIP: Final = 31
"""What zlib calls the form of gzip."""

_COPY: Final = re.compile(r"\.[0-9]+$")
"""What the archive adds to a name that it has already."""


def erase_archived(archive: Path, form: FileFormat, is_meant: Callable[[bytes], bool]) -> int:
    """Remove the records that are meant from the files in ``archive``; how many there were.

    A file with other records keeps those; one without is removed. May be killed at any instant and done again. Raises
    Fatal where that cannot be done; a file that cannot be taken apart is told, and stays.
    """
    erased = 0
    try:
        paths = sorted(path for path in archive.iterdir() if path.is_file() and not path.is_symlink())
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _failed(archive, error) from error
    for path in paths:
        name = path.name if path.name.lower().endswith(form.endings) else _COPY.sub("", path.name)
        if name.lower().endswith(form.endings):
            try:
                erased += _erase(path, name, form, is_meant)
            except OSError as error:
                raise _failed(path, error) from error
    return erased


def _erase(path: Path, name: str, form: FileFormat, is_meant: Callable[[bytes], bool]) -> int:
    found = others = 0
    for part in _parts(path, name, form):
        if isinstance(part, Broken) and not part.raw:
            logger.warning(
                "{} cannot be taken apart: see whether it holds the order, and remove it", place_of(path.name)
            )
            return 0
        found, others = (found + 1, others) if is_meant(part.raw) else (found, others + 1)
    if found and not others:
        path.unlink()
    elif found:
        left = (part for part in _parts(path, name, form) if not is_meant(part.raw))
        _write(path, _joined(left), is_zipped=name.lower().endswith(".gz"))
    return found


def _parts(path: Path, name: str, form: FileFormat) -> Iterator[Part | Broken]:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    yield from Opened(name, None, file).parts(form)


def _joined(parts: Iterable[Part | Broken]) -> Iterator[bytes]:
    """A file of these records, in the form in which they came."""
    before, end = b"[", b""
    for number, part in enumerate(parts):
        if part.suffix.startswith("["):
            yield before + part.raw
            before, end = b",\n", b"]\n"
        elif isinstance(part, Part) and part.head:
            yield part.raw[part.head if number else 0 :]
        else:
            yield part.raw + b"\n"
    yield end


def _write(path: Path, pieces: Iterable[bytes], *, is_zipped: bool) -> None:
    """Write the file anew, whole or not at all; it keeps its times and its permissions."""
    state, aside = path.stat(), path.with_name(f".~{LEFTOVER}")
    out = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, stat.S_IMODE(state.st_mode))
    try:
        for piece in _zipped(pieces) if is_zipped else pieces:
            write_all(out, piece)
        os.utime(out, ns=(state.st_atime_ns, state.st_mtime_ns))
        os.fsync(out)
    finally:
        os.close(out)
    aside.rename(path)


def _zipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    yield from map(packer.compress, pieces)
    yield packer.flush()


def _failed(path: Path, error: OSError) -> Fatal:
    return Fatal(f"{path} cannot be rewritten: {error.strerror}; set it right, then do it again", see=See.FILES)
