"""Writes as MongoDB takes them: encoded, and in commands that it can hold; pure."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import bson
from bson.errors import InvalidDocument
from msgspec import Struct

from pipeline.tracos.indexes import SIMPLE

__all__ = ["UNFIT", "Operation", "commands", "encode_all"]

UNFIT: Final = (InvalidDocument, OverflowError, UnicodeEncodeError)
"""What encoding a document raises."""

COMMAND_BYTES: Final = 16 * 1024 * 1024
"""What the statements of one raw command may have in all; the server allows 16 KB more."""

GROUP: Final = 100
"""How many statements are encoded at once."""

_LENGTH: Final = struct.Struct("<I").unpack_from
_HEAD: Final = len(bson.encode({"": []})) - 2
"""The bytes before the first element of a list that is the only value, under an empty name."""


class Operation(Struct, frozen=True, gc=False):
    """One write: a document to insert, its ``_id`` first, or a statement ``{"q": guard, "u": changes, ...}``."""

    verb: Literal["insert", "update"]
    statement: Mapping[str, Any]

    @classmethod
    def insert(cls, document: Mapping[str, Any]) -> "Operation":
        """Insert ``document``."""
        return cls("insert", document)

    @classmethod
    def update(cls, guard: Mapping[str, Any], sets: Mapping[str, Any]) -> "Operation":
        """Set fields of the one document that still is as ``guard`` says."""
        return cls("update", {"q": guard, "u": {"$set": sets}, "collation": SIMPLE.document})


def encode_all(statements: Sequence[Mapping[str, Any]]) -> list[bytes | None]:
    """By position, the statements as BSON; None for what MongoDB cannot hold.

    A list of them costs less than one by one, which only those beside one that cannot be encoded are.
    """
    encoded: list[bytes | None] = []
    for start in range(0, len(statements), GROUP):
        group = statements[start : start + GROUP]
        try:
            encoded += _elements(bson.encode({"": group}), len(group))
        except UNFIT:
            encoded += map(_encode, group)
    return encoded


def commands(statements: Mapping[int, bytes]) -> Iterator[dict[int, bytes]]:
    """The statements by position, in parts that one command can hold."""
    if sum(map(len, statements.values())) <= COMMAND_BYTES:
        yield from [dict(statements)] if statements else []
        return
    part: dict[int, bytes] = {}
    size = 0
    for position, statement in statements.items():
        if part and size + len(statement) > COMMAND_BYTES:
            yield part
            part, size = {}, 0
        part[position] = statement
        size += len(statement)
    if part:
        yield part


def _elements(encoded: bytes, count: int) -> Iterator[bytes | None]:
    """The documents of a list that is the only value: before each are its type and, as its name, its number."""
    at = _HEAD
    for number in range(count):
        at += len(str(number)) + 2
        end = at + _LENGTH(encoded, at)[0]
        yield _held(encoded[at:end])
        at = end


def _encode(statement: Mapping[str, Any]) -> bytes | None:
    try:
        return _held(bson.encode(statement))
    except UNFIT:
        return None


def _held(statement: bytes) -> bytes | None:
    return statement if len(statement) <= COMMAND_BYTES else None
