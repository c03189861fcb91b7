"""The records in a file's bytes: one object, an array's elements, or a line each; each with its own bytes."""

import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from pipeline.errors import Reason, Rejected
from pipeline.translation.json import load
from pipeline.translation.layout import Layout, wrapped

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
    "not_understood",
    "unreadable",
    "whole",
]

MAX_RECORD: Final = 8 * 1024 * 1024
MAX_FILE: Final = 64 * 1024 * 1024
BLOCK: Final = 256 * 1024

_ANY: Final = msgspec.json.Decoder()
_RAW: Final = msgspec.json.Decoder(msgspec.Raw)
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LINE_END: Final = re.compile(rb"[\r\n]+")

UNREADABLE: Final = (OSError, EOFError, zlib.error)
"""What reading a file raises, plain or gzipped."""


class Part(Struct, frozen=True, gc=False):
    """One record: what follows the file's name in its locator, and its bytes."""

    suffix: str
    raw: bytes
    is_understood: bool = True
    """Whether it is a record at all, as far as one can see without reading it: what is none is never put away."""
    head: int = 0
    """How many of the bytes are what stands above all records of the file."""


class Broken(Struct, frozen=True, gc=False):
    """What cannot be taken apart further, for which reason, with its bytes unless there are too many."""

    suffix: str
    reason: Reason
    raw: bytes = b""


class Readable(Protocol):
    """A file, plain or unzipped as it is read."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes more; none at the end."""


def whole(data: bytes, layouts: Collection[Layout[Any]] = ()) -> Iterable[Part | Broken]:
    """The records of a file that is one JSON value: an array's elements, else the value itself.

    An object that is no order of ``layouts``, but wraps orders, is Broken: it says nothing that could be read.
    """
    text = data.removeprefix(BOM_UTF8).lstrip()
    if not text:
        return (not_understood(Reason("empty: expected a JSON object"), data),)
    if text[:1] == b"[":
        try:
            elements = load(data, _ELEMENTS)
        except Rejected as error:
            return (not_understood(error.reasons[0], data),)
        return (_sized(f"[{index}]", bytes(element)) for index, element in enumerate(elements))
    if layouts and text.count(b"{") > 1 and (where := _wrapped(data, layouts)):
        message = f"no order, but an object around orders, which are in {where}: write those alone, as an array"
        return (not_understood(Reason(message), data),)
    return (_sized("", data, is_understood=_is_object(text)),)


def lines(head: bytes, stream: Readable) -> Iterator[Part | Broken]:
    """The records of a file that has one a line, however long the file; ``head`` is what was read of it already.

    A line ends in LF, CRLF or CR. Where the file cannot be read further (a damaged gzip), the lines before that pass.
    """
    number, rest, too_long, is_empty = 0, b"", False, True
    text = head.removeprefix(BOM_UTF8)
    block = head if text[:1].strip() else text  # a mark before nothing is nothing
    try:
        while block:
            *complete, rest = _split(rest + block)
            for line in complete:
                number += 1
                if too_long:
                    too_long = False
                elif line.strip():
                    is_empty = False
                    yield _sized(f":{number}", line)
            if len(rest) > MAX_RECORD:
                yield _too_long(f":{number + 1}")
                too_long, is_empty = True, False
            if too_long:
                # Its end may come; what is before that would only be copied.
                rest = b"\r" if rest.endswith(b"\r") else b""
            block = stream.read(BLOCK)
    except UNREADABLE as error:
        yield Broken(f":{number + 1}", unreadable(error))  # without bytes: what is behind it is nowhere else
        return
    if rest.strip() and not too_long:
        yield _sized(f":{number + 1}", rest.rstrip(b"\r"))
    elif is_empty:
        yield not_understood(Reason("empty: expected a JSON object a line"), head, stream)


def is_lines(head: bytes) -> bool:
    """Whether a file that begins with ``head`` has a record a line: its first line is an object, and more follows."""
    if b"\n" not in head and b"\r" not in head:
        return False
    text = head.removeprefix(BOM_UTF8).strip()
    if b"\n" not in text and b"\r" not in text:
        return False
    first = _LINE_END.split(text, 1)[0].rstrip()
    if not (first.startswith(b"{") and first.endswith(b"}")):
        return False
    try:
        load(first, _OBJECT)
    except Rejected:
        return False
    return True


def not_understood(reason: Reason, head: bytes, stream: Readable | None = None) -> Broken:
    """The file that begins with ``head``, as a whole; ``stream`` has what is behind it. Such a file is not put away.

    Without its bytes where a letter cannot take so many; may raise what reading raises.
    """
    data = head
    while stream is not None and len(data) <= MAX_RECORD and (more := stream.read(BLOCK)):
        data += more
    return Broken("", reason, data if len(data) <= MAX_RECORD else b"")


def unreadable(error: Exception) -> Reason:
    """The reason why a file cannot be read, or not further."""
    if isinstance(error, OSError) and error.strerror:
        return Reason(f"cannot be read: {error.strerror}; set it right or move it away")
    return Reason("damaged gzip data: fetch the file anew")


def _sized(suffix: str, raw: bytes, *, is_understood: bool = True) -> Part | Broken:
    return _too_long(suffix) if len(raw) > MAX_RECORD else Part(suffix, raw, is_understood)


def _too_long(suffix: str) -> Broken:
    return Broken(suffix, Reason(f"a record of more than {MAX_RECORD // 2**20} MB: split it, or fix what wrote it"))


def _split(data: bytes) -> list[bytes]:
    """The lines without their ends; the last is what has no end yet, or only a CR that an LF may follow."""
    *complete, rest = data.split(b"\n")
    if b"\r" in data:
        complete = [piece for line in complete for piece in line.rstrip(b"\r").split(b"\r")]
        text = rest.rstrip(b"\r")
        *more, last = text.split(b"\r")
        complete += more
        rest = last + rest[len(text) :]
    return [*complete, rest]


def _is_object(text: bytes) -> bool:
    if text[:1] != b"{":
        return False
    try:
        _RAW.decode(text)  # looks at the grammar alone, which costs little
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _wrapped(data: bytes, layouts: Collection[Layout[Any]]) -> str | None:
    try:
        value = load(data, _ANY)
    except Rejected:
        return None
    return wrapped(value, layouts) if isinstance(value, dict) else None
