"""What look-ups give: documents decoded one by one, so that one that cannot be decoded concerns its own order alone."""

import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.decimal128 import Decimal128
from bson.errors import InvalidBSON
from msgspec import Struct
from pymongo.errors import WTimeoutError

from pipeline.errors import Reason
from pipeline.orders.workorder import INT64, ExternalId, id_key
from pipeline.translation.paths import json_path, step_to

__all__ = ["CODEC", "UNCONFIRMED", "Found", "Groups", "StoredGroups", "key_of", "read_batch", "see_confirmed", "split"]

CODEC: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""Dates are aware; one out of Python's range is read as a number of milliseconds."""

LENIENT: Final = CODEC.with_options(unicode_decode_error_handler="backslashreplace")

FIXED: Final[Mapping[int, int]] = {
    0x01: 8,  # double
    0x06: 0,  # undefined
    0x07: 12,  # ObjectId
    0x08: 1,  # boolean
    0x09: 8,  # date
    0x0A: 0,  # null
    0x10: 4,  # int
    0x11: 8,  # timestamp
    0x12: 8,  # long
    0x13: 16,  # decimal
    0x7F: 0,  # MaxKey
    0xFF: 0,  # MinKey
}
"""The bytes of a value, by its BSON type. Source: bsonspec.org, 1.1."""

MEASURED: Final[Mapping[int, int]] = {
    0x02: 4,  # text
    0x03: 0,  # document
    0x04: 0,  # array
    0x05: 5,  # binary
    0x0C: 16,  # DBPointer
    0x0D: 4,  # code
    0x0E: 4,  # symbol
    0x0F: 0,  # code with scope
}
"""Where a value begins with a length: what is to be added to that."""

DOCUMENT, ARRAY, REGEX = 0x03, 0x04, 0x0B

OBJECT_ID: Final = b"\x07_id\0"
"""How a document goes on behind its length where its ``_id`` is an ObjectId."""

KEY_END: Final = 4 + len(OBJECT_ID) + FIXED[0x07]

_IDS: Final = (int, str)

_INT: Final = struct.Struct("<I").unpack_from

UNCONFIRMED: Final = 64
"""WriteConcernTimeout."""

GROUP_BYTES: Final = 8 * 1024 * 1024
"""A group of documents ends when it has as much; a larger document makes a group by itself."""


class Found(Struct, frozen=True, gc=False):
    """One document that a look-up found."""

    raw: bytes
    """What we read of it, as the server gave it."""
    readable: Mapping[str, Any]
    """All of it that can be decoded, to call it by and to show; a text that is no UTF-8 has its bytes as ``\\xe9``."""
    reasons: tuple[Reason, ...] = ()
    """What cannot be decoded."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Found":
        """One that was not looked up, but could have been; its first field is its ``_id``."""
        return cls(bson.encode(document), document)

    @property
    def document(self) -> Mapping[str, Any] | None:
        """All of it; None where something cannot be decoded."""
        return None if self.reasons else self.readable

    @property
    def key(self) -> bytes:
        """Its ``_id``, of whatever type: equal for this document alone, and for it always."""
        if self.raw.startswith(OBJECT_ID, 4):  # nearly always so
            return self.raw[4:KEY_END]
        return next(_elements(self.raw))[1]

    @property
    def numbers(self) -> list[ExternalId]:
        """The orders that a look-up by number finds it for, as ids are compared: of an array, all of its elements."""
        number = self.readable.get("number")
        keys = (_order(one) for one in (number if isinstance(number, list) else [number]))
        return [key for key in keys if key is not None]

    @property
    def linked_to(self) -> ExternalId | None:
        """The client's id of it, as ids are compared, where it has one."""
        sync = self.readable.get("sync")
        return _order(sync.get("id")) if isinstance(sync, Mapping) else None


class Groups(Protocol):
    """What is left of a look-up, in groups."""

    async def following(self) -> list[Found]:
        """The next group; empty at the end."""

    async def close(self) -> None:
        """Give back what the server holds."""


class StoredGroups:
    """The documents of a raw cursor, in groups that its batch size and their bytes bound."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor  # motor's stubs take its batches for documents
        self._raws: deque[bytes] = deque()

    async def following(self) -> list[Found]:
        """The next group; empty at the end."""
        while not self._raws:
            batch = await anext(self._cursor, None)
            if batch is None:
                return []
            self._raws.extend(split(batch))
        group = [self._raws.popleft()]
        size = len(group[0])
        while self._raws and size + len(self._raws[0]) <= GROUP_BYTES:
            size += len(self._raws[0])
            group.append(self._raws.popleft())
        return read_batch(b"".join(group))

    async def close(self) -> None:
        """Give back what the server holds."""
        await self._cursor.close()


def see_confirmed(found: Sequence[Found], latest: Sequence[Found]) -> None:
    """See that the ``latest`` of these documents is what was ``found``, which a majority has.

    Where writes wait in vain to be confirmed, a look-up does not show them, and doing them again misses: that is waited
    for, as in an outage. Raises WTimeoutError, which is one.
    """
    if {one.key: one.raw for one in found} != {one.key: one.raw for one in latest}:
        raise WTimeoutError("a majority is behind the primary", UNCONFIRMED)


def key_of(document_id: Any) -> bytes:
    """The key of the document with this ``_id``."""
    return bson.encode({"_id": document_id})[4:-1]


def read_batch(batch: bytes) -> list[Found]:
    """The documents of a raw batch."""
    raws = split(batch)
    try:
        return list(map(Found, raws, bson.decode_all(batch, CODEC)))
    except InvalidBSON:
        return [_read_one(raw) for raw in raws]


def split(batch: bytes) -> list[bytes]:
    """The raw documents of a raw batch."""
    raws: list[bytes] = []
    at, end = 0, len(batch)
    while at < end:
        after = at + _INT(batch, at)[0]
        raws.append(batch[at:after])
        at = after
    return raws


def _read_one(raw: bytes) -> Found:
    document = _decoded(raw, CODEC)
    if document is not None:
        return Found(raw, document)
    readable: dict[str, Any] = {}
    reasons: list[Reason] = []
    for name, element in _elements(raw):
        readable |= _decoded(_wrapped(element), LENIENT) or {}
        reasons += _faults(element, json_path((name,)))
    return Found(raw, readable, tuple(reasons))


def _faults(element: bytes, path: str) -> list[Reason]:
    """What of an element cannot be decoded, told of the innermost places."""
    if _decoded(_wrapped(element), CODEC) is not None:
        return []
    faults: list[Reason] = []
    if element[0] in (DOCUMENT, ARRAY):
        for name, inner in _elements(element[element.index(0, 1) + 1 :]):
            faults += _faults(inner, f"{path}[{name}]" if element[0] == ARRAY else path + step_to(name))
    what = "cannot be decoded" if _decoded(_wrapped(element), LENIENT) is None else "not UTF-8"
    return faults or [Reason(what, path)]


def _decoded(raw: bytes, codec: CodecOptions[dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return bson.decode(raw, codec)
    except InvalidBSON:
        return None


def _elements(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each element of a document."""
    at = 4
    while at < len(raw) - 1:
        name_end = raw.index(0, at + 1)
        value, kind = name_end + 1, raw[at]
        if kind in FIXED:
            end = value + FIXED[kind]
        elif kind == REGEX:
            end = raw.index(0, raw.index(0, value) + 1) + 1
        else:
            end = value + MEASURED[kind] + _int(raw, value)
        yield raw[at + 1 : name_end].decode(errors="backslashreplace"), raw[at:end]
        at = end


def _wrapped(element: bytes) -> bytes:
    return (len(element) + 5).to_bytes(4, "little") + element + b"\0"


def _int(data: bytes, at: int) -> int:
    size: int = _INT(data, at)[0]
    return size


def _order(number: Any) -> ExternalId | None:
    """The id that a value of ``number`` is equal to, for MongoDB; None where there is none."""
    if isinstance(number, Decimal128):
        number = number.to_decimal()
        whole = number.is_finite() and abs(number) <= INT64.stop and number == number.to_integral_value()
    elif isinstance(number, float):
        whole = number.is_integer()
    else:
        return id_key(number) if isinstance(number, _IDS) and not isinstance(number, bool) else None
    return int(number) if whole else None
