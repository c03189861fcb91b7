"""What a client must live with: hostile bytes, values, texts and ids, and instants that zones tell differently."""

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
    for key in data if isinstance(data, dict) else ():
        odd.append(msgspec.json.encode({name: value for name, value in data.items() if name != key}))
        for value in VALUES:
            try:
                odd.append(msgspec.json.encode({**data, key: value}))
            except (UnicodeEncodeError, OverflowError):
                continue
    return odd


def without_meaning(raw: bytes) -> Any:
    """The record with its id, and nothing else that is right."""
    try:
        data = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        head, _, row = raw.partition(b"\n")
        return head + b"\n" + row.replace(b",", b",,,,,,,,", 1).replace(b";", b";;;;;;;;", 1)
    return {key: value if index == 0 else {"odd": True} for index, (key, value) in enumerate(data.items())}
