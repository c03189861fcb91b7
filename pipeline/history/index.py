"""Which blocks of a log tell of a key, so that nobody reads the others.

Beside a log lies a file of chunks, each about one block of whole lines: where the block ends, a checksum of it, the
checksums of the keys that its lines are found by, and its marks. It is only ever appended to, and never synced: what is
torn in it, or not borne out by the log, is as if it were not there, and made again. Lines that no chunk is about yet
are read.
"""

import fcntl
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from pipeline.disk import alone, opened, read_file, write_all
from pipeline.months import index_of

__all__ = ["Names", "lines_about", "marks_in", "newest_about", "refresh"]

BLOCK: Final = 256 * 1024
"""Bytes of a block, or one line more."""

_HEAD: Final = struct.Struct("<4sIQIII")
"""Magic, checksum of what follows in the chunk, the block's end and checksum, how many keys and marks there are."""
_TAIL: Final = struct.Struct("<I")
"""Bytes of the chunk, so that the last one is found at once."""
_MAGIC: Final = b"wos2"
_RULED: Final = 8
"""Bytes of a chunk before those that its checksum is about."""

Names: TypeAlias = Callable[[bytes], tuple[Iterable[str], int | None]]
"""The keys that a line is found by, and its mark, a 64-bit number, or None; raises ValueError for a damaged line."""


class _Chunk(NamedTuple):
    """One chunk: of which bytes of the log, and what it says of them."""

    start: int
    end: int
    checksum: int
    keys: memoryview
    marks: memoryview


def lines_about(log: Path, keys: Collection[str]) -> Iterator[bytes]:
    """The lines of ``log`` that may be about one of ``keys``, in order, and others: whoever asks looks at them.

    There are none where the file is missing; raises OSError where it cannot be read.
    """
    wanted = [struct.pack("<I", _checksum(key)) for key in keys]
    with suppress(FileNotFoundError), opened(log) as file:
        chunks = _believed(log, file)
        blocks = [chunk for chunk in chunks if any(_has(chunk.keys, one) for one in wanted)]
        if not all(_holds(chunk, file) for chunk in blocks):
            chunks, blocks = [], []
        for chunk in blocks:
            yield from _block(chunk, file).split(b"\n")
        yield from _rest(chunks, file)


def newest_about(log: Path, key: str, most: int) -> Iterator[bytes]:
    """Blocks of lines of ``log`` among which all are that are about ``key``, the newest block first.

    The lines that no chunk is about make one block; no more than the newest ``most`` bytes of them are read, so that
    the first may be torn. There are none where the file is missing; raises OSError where it cannot be read.
    """
    wanted = struct.pack("<I", _checksum(key))
    with suppress(FileNotFoundError), opened(log) as file:
        chunks = _believed(log, file)
        start, end = chunks[-1].end if chunks else 0, os.fstat(file.fileno()).st_size
        file.seek(max(start, end - most))
        yield file.read()
        for chunk in reversed(chunks):
            if _has(chunk.keys, wanted):
                yield _block(chunk, file)


def marks_in(log: Path, names: Names) -> Iterator[int]:
    """The marks of all lines of ``log``; there are none where it is missing. Raises OSError where it cannot be read."""
    with suppress(FileNotFoundError), opened(log) as file:
        chunks = _believed(log, file)
        for chunk in chunks:
            yield from array("Q", chunk.marks.tobytes())
        for line in _rest(chunks, file):
            with suppress(ValueError, RecursionError):
                if (mark := names(line)[1]) is not None:
                    yield mark


def refresh(log: Path, names: Names) -> None:
    """Bring what lies beside ``log`` up to its last whole block; raises OSError, and then nothing is lost."""
    with alone(log) as file:
        size = os.fstat(file).st_size  # what is there by now nobody takes back
    if not _is_behind(log, size):
        return
    index = os.open(index_of(log), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if not _is_ours(index):
            return  # somebody else does it
        with opened(log) as lines:
            chunks = _believed(log, lines)
            os.ftruncate(index, sum(map(_size, chunks)))
            os.lseek(index, 0, os.SEEK_END)
            for chunk in _made(lines, chunks[-1].end if chunks else 0, size, names):
                write_all(index, chunk)
    finally:
        os.close(index)


def _is_ours(file: int) -> bool:
    """Whether nobody else writes it; where the file system cannot lock, what two make of it at once is not believed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _is_behind(log: Path, size: int) -> bool:
    """Whether there is a block that no chunk is about; quick, where there is none."""
    if size < BLOCK:
        return False
    with suppress(OSError, struct.error), opened(index_of(log)) as index:
        index.seek(-_TAIL.size, os.SEEK_END)
        (of_last,) = _TAIL.unpack(index.read())
        index.seek(-of_last, os.SEEK_END)
        chunks = list(_chunks(memoryview(index.read()), size))
        return not chunks or size - chunks[-1].end >= BLOCK
    return True


def _made(file: BinaryIO, start: int, size: int, names: Names) -> Iterator[bytes]:
    """The chunks about all whole blocks from ``start`` on."""
    file.seek(start)
    while True:
        block = file.read(BLOCK)
        block += b"" if block.endswith(b"\n") else file.readline()
        start += len(block)
        if len(block) < BLOCK or not block.endswith(b"\n") or start > size:
            return
        keys, marks = set[int](), array("Q")
        for line in block.split(b"\n"):
            with suppress(ValueError, RecursionError):
                said, mark = names(line)
                keys.update(map(_checksum, said))
                if mark is not None:
                    marks.append(mark)
        body = array("I", sorted(keys)).tobytes() + marks.tobytes()
        rest = _HEAD.pack(_MAGIC, 0, start, zlib.crc32(block), len(keys), len(marks))[_RULED:] + body
        rest += _TAIL.pack(_RULED + len(rest) + _TAIL.size)
        yield _MAGIC + struct.pack("<I", zlib.crc32(rest)) + rest


def _believed(log: Path, file: BinaryIO) -> list[_Chunk]:
    """The chunks that are whole, up to the first that is not; none where they are about another log.

    That is seen by the first and the last block: a log is only ever appended to.
    """
    chunks: list[_Chunk] = []
    with suppress(OSError):
        chunks = list(_chunks(memoryview(read_file(index_of(log))), os.fstat(file.fileno()).st_size))
    return chunks if all(_holds(chunk, file) for chunk in (*chunks[:1], *chunks[-1:])) else []


def _chunks(said: memoryview, size: int) -> Iterator[_Chunk]:
    at = start = 0
    while len(said) - at >= _HEAD.size:
        magic, checksum, end, of_block, keys, marks = _HEAD.unpack_from(said, at)
        first = at + _HEAD.size
        middle, last = first + 4 * keys, first + 4 * keys + 8 * marks
        ends = last + _TAIL.size
        if magic != _MAGIC or ends > len(said) or not start < end <= size:
            return
        if zlib.crc32(said[at + _RULED : ends]) != checksum:
            return
        yield _Chunk(start, end, of_block, said[first:middle], said[middle:last])
        at, start = ends, end


def _block(chunk: _Chunk, file: BinaryIO) -> bytes:
    file.seek(chunk.start)
    return file.read(chunk.end - chunk.start)


def _holds(chunk: _Chunk, file: BinaryIO) -> bool:
    return zlib.crc32(_block(chunk, file)) == chunk.checksum


def _rest(chunks: Sequence[_Chunk], file: BinaryIO) -> Iterator[bytes]:
    """The lines that no chunk is about."""
    file.seek(chunks[-1].end if chunks else 0)
    yield from file


def _size(chunk: _Chunk) -> int:
    return _HEAD.size + len(chunk.keys) + len(chunk.marks) + _TAIL.size


def _has(keys: memoryview, wanted: bytes) -> bool:
    said = keys.tobytes()
    at = said.find(wanted)
    while at >= 0 and at % 4:
        at = said.find(wanted, at + 1)
    return at >= 0


def _checksum(key: str) -> int:
    return zlib.crc32(key.encode("utf-8", "surrogatepass"))
