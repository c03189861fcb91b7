"""Writes as MongoDB takes them: encoded, and in commands that it can hold; pure."""

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

import bson
from bson import Int64, ObjectId
from bson.errors import InvalidDocument
from msgspec import Struct

from pipeline.tracos.indexes import SIMPLE

__all__ = ["MISSING", "REV", "UNFIT", "Joined", "Operation", "commands", "encode_all", "join"]

UNFIT: Final = (InvalidDocument, OverflowError, UnicodeEncodeError)
"""What encoding a document raises."""

COMMAND_BYTES: Final = 16 * 1024 * 1024
"""What the statements of one raw command may have in all; the server allows 16 KB more."""

GROUP: Final = 100
"""How many statements are encoded at once."""

JOINED: Final = 250
"""How many updates are joined."""

MISSING: Final[Mapping[str, Any]] = {"$exists": False}
"""What a guard says of a field that is not there."""

NULL: Final = {"$eq": None, "$exists": True}
"""A filter for null, which alone would match a field that is not there too."""

REV: Final = "sync.rev"

_PLAIN: Final = (str, int, float, datetime)
"""Kinds of values that stand for themselves in a filter."""

_SAME: Final = frozenset({ObjectId, str, bool, int, float, datetime, Int64})
"""Kinds of values that an expression finds the same as a filter does."""

_NONE, _NOT_THERE = os.urandom(16), os.urandom(16)
"""What stands, in an expression, for null and for a field that is not there: nobody's value."""

_LENGTH: Final = struct.Struct("<I").unpack_from
_HEAD: Final = len(bson.encode({"": []})) - 2
"""The bytes before the first element of a list that is the only value, under an empty name."""
_BEFORE: Final = tuple(len(str(number)) + 2 for number in range(GROUP))
"""The bytes before the value of each element."""


class Operation(Struct, frozen=True, gc=False):
    """One write: a document to insert, or fields to set of the one document that still is as ``guard`` says."""

    verb: Literal["insert", "update"]
    values: Mapping[str, Any]
    """The document, its ``_id`` first; or the fields that are set."""
    guard: Mapping[str, Any] = {}
    """Its ``_id``, and by field what it must be, MISSING where it must not be there."""

    @classmethod
    def insert(cls, document: Mapping[str, Any]) -> "Operation":
        """Insert ``document``."""
        return cls("insert", document)

    @classmethod
    def update(cls, guard: Mapping[str, Any], sets: Mapping[str, Any]) -> "Operation":
        """Set fields of the one document that still is as ``guard`` says."""
        return cls("update", sets, guard)

    @property
    def statement(self) -> Mapping[str, Any]:
        """What the server is told to do this alone."""
        if self.verb == "insert":
            return self.values
        guard = {field: _filter(value) for field, value in self.guard.items()}
        return {"q": guard | {"_id": self.guard["_id"]}, "u": {"$set": self.values}, "collation": SIMPLE.document}


class Joined(Struct, frozen=True, gc=False):
    """One statement for several updates, which sets of each document what its own update does, under its own guard."""

    positions: Sequence[int]
    statement: Mapping[str, Any]


def join(updates: Mapping[int, Operation]) -> list[Joined]:
    """The updates by position, as far as they can be joined: of plain names and values, and several alike."""
    alike: dict[tuple[str, ...], dict[int, list[Any]]] = {}
    for position, update in updates.items():
        names = tuple(update.guard)
        if _are_plain(names) and _are_plain(tuple(update.values)) and (read := _as_read(update)) is not None:
            alike.setdefault(names, {})[position] = read
    joined: list[Joined] = []
    for names, reads in alike.items():
        positions = list(reads)
        for start in range(0, len(positions), JOINED):
            group = positions[start : start + JOINED]
            if len(group) > 1:
                sets = [updates[position].values for position in group]
                joined.append(Joined(group, _one_statement(names, [reads[position] for position in group], sets)))
    return joined


def _as_read(update: Operation) -> list[Any] | None:
    """What each guarded field must be, in the words of ``_now``; None where that cannot be said."""
    read: list[Any] = []
    if type(update.guard["_id"]) not in _SAME:
        return None
    for value in update.guard.values():
        if type(value) in _SAME:
            read.append(value)
        elif value is None or value is MISSING:
            read.append(_NOT_THERE if value is MISSING else _NONE)
        else:
            return None
    return read


@lru_cache(maxsize=1024)
def _are_plain(names: tuple[str, ...]) -> bool:
    """Whether names of fields are the same in an expression."""
    return all(name == REV or not ("." in name or name.startswith("$")) for name in names)


def _one_statement(
    names: Sequence[str], reads: Sequence[list[Any]], sets: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Its sets are sorted, because ``$set`` adds new fields in this order."""
    ids = [read[names.index("_id")] for read in reads]
    position = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
    own_read = {"$arrayElemAt": [{"$literal": reads}, position]}
    own_sets = {"$arrayElemAt": [{"$literal": [dict(sorted(one.items())) for one in sets]}, position]}
    return {
        "q": {"_id": {"$in": ids}, "$expr": {"$eq": [list(map(_now, names)), own_read]}},
        "u": [{"$replaceWith": {"$mergeObjects": ["$$ROOT", own_sets]}}],
        "multi": True,
        "collation": SIMPLE.document,
    }


def _filter(value: Any) -> Any:
    if isinstance(value, _PLAIN) or value is MISSING:
        return value
    return NULL if value is None else {"$eq": value}


def _now(name: str) -> dict[str, Any]:
    """The expression of what a field is: its value, or what stands for none."""
    is_there = {"$ne": [{"$type": f"${name}"}, "missing"]}
    return {"$ifNull": [f"${name}", {"$cond": [is_there, {"$literal": _NONE}, {"$literal": _NOT_THERE}]}]}


def encode_all(statements: Sequence[Mapping[str, Any]]) -> list[bytes | None]:
    """By position, the statements as BSON; None for what MongoDB cannot hold.

    A list of them costs less than one by one, which only those beside one that cannot be encoded are.
    """
    encoded: list[bytes | None] = []
    for start in range(0, len(statements), GROUP):
        group = statements[start : start + GROUP]
        try:
            encoded += map(_held, _elements(bson.encode({"": group}), len(group)))
        except UNFIT:
            encoded += map(_encode, group)
    return encoded


def commands(statements: Mapping[int, bytes]) -> Iterator[Mapping[int, bytes]]:
    """The statements by position, in parts that one command can hold."""
    if sum(map(len, statements.values())) <= COMMAND_BYTES:
        yield from [statements] if statements else []
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


def _elements(encoded: bytes, count: int) -> list[bytes]:
    """The documents of a list that is the only value: before each are its type and, as its name, its number."""
    documents: list[bytes] = []
    at = _HEAD
    for before in _BEFORE[:count]:
        at += before
        end = at + _LENGTH(encoded, at)[0]
        documents.append(encoded[at:end])
        at = end
    return documents


def _encode(statement: Mapping[str, Any]) -> bytes | None:
    try:
        return _held(bson.encode(statement))
    except UNFIT:
        return None


def _held(statement: bytes) -> bytes | None:
    return statement if len(statement) <= COMMAND_BYTES else None
