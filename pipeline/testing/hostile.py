"""What a client must live with: hostile bytes, values, texts and ids, and instants that zones tell differently."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec

__all__ = ["HOSTILE", "IDS", "MOMENTS", "TEXTS", "VALUES", "ZONES", "with_other_values", "without_meaning"]

HOSTILE: list[bytes] = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"{}",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b'{"id": 1e999}',
    b'{"id": "\\ud800"}',
    b"\0" * 1000,
    b"a,b\r\n" * 1000,
    b"'\"; DROP TABLE orders; --",
    b"../../etc/passwd",
]
VALUES: list[Any] = [None, True, -1, 2**70, 1.5, "", "\ud800", "\0", [], {}, "x" * 100_000, "9999-99-99", "../.."]
TEXTS: list[str | None] = [
    None,
    "",
    " ",
    "\0",
    "\n",
    '"',
    "'",
    ",;\t",
    "=1+1",
    "</script>",
    "\u202e",
    "x" * 5000,
    "é→😀",
]
IDS: list[int | str] = [0, -1, 2**63 - 1, "a/b", "../x", ".", "..", "a b", "%2F", "?x=1#y", "é", "😀", "x" * 300, "\n"]
ZONES = [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-11, minutes=-30))]
MOMENTS = [datetime(1999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]


def with_other_values(raw: bytes) -> list[bytes]:
    """The record with each value in turn replaced by odd ones, where it is a JSON object."""
    try:
        data = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return []
    odd = []
    for path in _paths(data) if isinstance(data, dict) else ():
        odd.append(msgspec.json.encode(_with(data, path)))
        for value in VALUES:
            try:
                odd.append(msgspec.json.encode(_with(data, path, value)))
            except (UnicodeEncodeError, OverflowError):
                continue
    return odd


def _paths(data: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The way to each value, also to those in objects, and to the objects."""
    for key, value in data.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *path) for path in _paths(value))


def _with(data: Mapping[str, Any], path: Sequence[str], *value: Any) -> dict[str, Any]:
    """``data`` with another value at ``path``, or none."""
    key, *more = path
    if more:
        return {**data, key: _with(data[key], more, *value)}
    rest = {name: said for name, said in data.items() if name != key or value}
    return {**rest, key: value[0]} if value else rest


def without_meaning(raw: bytes) -> Any:
    """The record with its id and what is around it, and nothing else that is right."""
    try:
        data = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        head, _, row = raw.partition(b"\n")
        return head + b"\n" + row.replace(b",", b",,,,,,,,", 1).replace(b";", b";;;;;;;;", 1)
    return _without_meaning(data)


def _without_meaning(data: Mapping[str, Any]) -> dict[str, Any]:
    first = next(iter(data))
    said = _without_meaning(data[first]) if isinstance(data[first], dict) and data[first] else data[first]
    return {key: said if key == first else {"odd": True} for key in data}
