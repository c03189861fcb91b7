"""The records in a file's bytes: one object, an array's elements, or a line each; each with its own bytes."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from pipeline.errors import Reason, Rejected
from pipeline.translation.json import load

__all__ = [
    "BLOCK",
    "MAX_FILE",
    "MAX_RECORD",
    "UNREADABLE",
    "Broken",
    "Part",
    "Readable",
    "is_lines",
    "lines",
    "unreadable",
    "whole",
]

MAX_RECORD: Final = 8 * 1024 * 1024
MAX_FILE: Final = 64 * 1024 * 1024
BLOCK: Final = 256 * 1024

_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


UNREADABLE: Final = (OSError, EOFError, zlib.error)
"""What reading a file raises, plain or gzipped."""


class Part(Struct, frozen=True, gc=False):
    """One record: what follows the file's name in its locator, and its bytes."""

    suffix: str
    raw: bytes
    is_understood: bool = True
    """Whether it is a record at all, as far as one can see without reading it: what is none is never put away."""


class Broken(Struct, frozen=True, gc=False):
    """What cannot be taken apart further, for which reason, with its bytes unless there are too many."""

    suffix: str
    reason: Reason
    raw: bytes = b""


class Readable(Protocol):
    """A file, plain or unzipped as it is read."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes more; none at the end."""


def whole(data: bytes) -> Iterable[Part | Broken]:
    """The records of a file that is one JSON value: an array's elements, else the value itself."""
    if data.lstrip()[:1] != b"[":
        return (_sized("", data, is_understood=data.lstrip()[:1] + data.rstrip()[-1:] == b"{}"),)
    try:
        elements = load(data, _ELEMENTS)
    except Rejected as error:
        return (Broken("", error.reasons[0], data),)
    return (_sized(f"[{index}]", bytes(element)) for index, element in enumerate(elements))


def lines(head: bytes, stream: Readable) -> Iterator[Part | Broken]:
    """The records of a file that has one a line, however long the file; ``head`` is what was read of it already.

    Where the file cannot be read further (a damaged gzip), the lines before that pass.
    """
    number, rest, too_long = 0, b"", False
    try:
        block = head or stream.read(BLOCK)
        while block:
            *complete, rest = (rest + block).split(b"\n")
            for line in complete:
                number += 1
                if too_long:
                    too_long = False
                elif line.strip():
                    yield _sized(f":{number}", line.removesuffix(b"\r"))
            if len(rest) > MAX_RECORD:
                if not too_long:
                    yield _too_long(f":{number + 1}")
                rest, too_long = b"", True
            block = stream.read(BLOCK)
    except UNREADABLE as error:
        yield Broken(f":{number + 1}", unreadable(error), rest)
        return
    if rest.strip() and not too_long:
        yield _sized(f":{number + 1}", rest.removesuffix(b"\r"))


def is_lines(head: bytes) -> bool:
    """Whether a file that begins with ``head`` has a record a line: its first line is an object, and more follows."""
    first, _, more = head.partition(b"\n")
    if not (more.strip() and first.lstrip().startswith(b"{") and first.rstrip().endswith(b"}")):
        return False
    try:
        load(first, _OBJECT)
    except Rejected:
        return False
    return True


def unreadable(error: Exception) -> Reason:
    """The reason why a file cannot be read, or not further."""
    if isinstance(error, OSError) and error.strerror:
        return Reason(f"cannot be read: {error.strerror}; set it right or move it away")
    return Reason("damaged gzip data: fetch the file anew")


def _sized(suffix: str, raw: bytes, *, is_understood: bool = True) -> Part | Broken:
    return _too_long(suffix) if len(raw) > MAX_RECORD else Part(suffix, raw, is_understood)


def _too_long(suffix: str) -> Broken:
    return Broken(suffix, Reason(f"a record of more than {MAX_RECORD // 2**20} MB: split it, or fix what wrote it"))
