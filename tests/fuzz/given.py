"""Values drawn from bytes: what turns the bytes of a fuzzer into texts, JSON and BSON, the same from the same."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS

T = TypeVar("T")

TEXTS: Final = (
    *(
        "",
        " ",
        "\t",
        "\0",
        "\n",
        "\r\n",
        "\x1b[2J",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "\ud800",
        "\udcff",
        "\U0010ffff",
    ),
    *(
        "\u202e",
        "\u2066",
        "\u200b",
        "\u200d",
        "\u00ad",
        "e\u0301",
        "\u0301",
        "\ufe0f",
        "\U000e0041",
        "\u0456d",
        "ﬃ",
        "İ",
        "ß",
        "😀",
    ),
    *(
        "$",
        "$set",
        "$where",
        "a.b",
        ".",
        "..",
        "../../etc/passwd",
        "/",
        "\\",
        "C:\\x",
        "%2e%2e%2f",
        "%",
        "%E9",
        "~",
        "~new",
    ),
    *(
        "null",
        "NaN",
        "true",
        "-0",
        "007",
        "1e5",
        "4.00012E+11",
        "#N/A",
        "='1",
        '="1"',
        "'1",
        "1,000",
        "9" * 19,
        "9" * 4400,
    ),
    *("2026-10-31", "2026-10-31T12:16:45.123Z", "0001-01-01", "9999-12-31T23:59:59-14:00", "/Date(1793450205000)/"),
    *(
        "NEW",
        "DONE",
        "created",
        "deleted",
        "LOST",
        "REL TECO",
        "{",
        "}",
        "{id}",
        "{0.__class__}",
        "%s",
        "<script>",
        "'\"--",
    ),
)
"""Texts that have broken programs: controls, what cannot be seen, what looks alike, what means something to others.

Among them more digits than Python makes a number of, which is a ValueError that few expect."""

NUMBERS: Final = (0, 1, -1, 2, 7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**40, 1.5, -0.0, 1e300, 5e-324)
"""Numbers at the edges of what programs can hold."""

PRESENT: Final = datetime(2026, 10, 31, 12, 16, 45, 123000, tzinfo=UTC)


class Given:
    """Draws values from ``data``; where that ends, the simplest ones."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """The next byte; 0 at the end."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def pick(self, options: Sequence[T]) -> T:
        """One of ``options``."""
        return options[self.byte() % len(options)]

    def flag(self) -> bool:
        """True or false."""
        return bool(self.byte() & 1)

    def rest(self) -> bytes:
        """All that is left."""
        left, self._at = self._data[self._at :], len(self._data)
        return left

    def piece(self) -> bytes:
        """Some bytes as they are, up to 255."""
        size = self.byte()
        piece, self._at = self._data[self._at : self._at + size], self._at + size
        return piece

    def text(self) -> str:
        """A text: a few odd ones joined, or bytes as characters; lone surrogates may be in it."""
        kind = self.byte() % 8
        if kind < 5:
            return "".join(self.pick(TEXTS) for _ in range(1 + kind // 2))
        if kind == 5:
            return self.piece().decode("utf-8", "surrogateescape")
        return str(self.pick(NUMBERS)) if kind == 6 else "x" * (self.byte() * 64)

    def number(self) -> int | float:
        """A number."""
        return self.pick(NUMBERS) if self.flag() else int.from_bytes(self.piece()[:9], signed=True)

    def json(self, depth: int = 3) -> Any:
        """What JSON can say."""
        match self.byte() % (8 if depth else 5):
            case 0:
                return None
            case 1:
                return self.flag()
            case 2:
                return self.number()
            case 3 | 4:
                return self.text()
            case 5:
                return [self.json(depth - 1) for _ in range(self.byte() % 4)]
        return {self.text(): self.json(depth - 1) for _ in range(self.byte() % 4)}

    def moment(self) -> datetime:
        """An aware time, mostly near the present."""
        return PRESENT + timedelta(milliseconds=int.from_bytes(self.piece()[:5], signed=True))

    def bson(self, depth: int = 2) -> Any:
        """A value of any type that BSON has, as the driver gives it to us."""
        simple = (
            lambda: Binary(self.piece(), self.byte()),
            lambda: ObjectId(self.piece().ljust(12, b"\0")[:12]),
            lambda: Decimal128(self.pick(("5", "5.0", "NaN", "Infinity", "-0", "1E+400", "9.99E-300"))),
            lambda: Regex(self.text(), self.byte()),
            lambda: Timestamp(self.byte(), self.byte()),
            lambda: Int64(self.pick((0, 5, 2**63 - 1, -(2**63)))),
            lambda: self.pick((float("nan"), float("inf"), float("-inf"), 5.0, 2.0**53, 1e300)),
            lambda: DatetimeMS(self.pick((0, 2**62, -(2**62), 253_402_300_800_000))),
            self.moment,
            lambda: self.pick((MinKey(), MaxKey(), None, True, False)),
            lambda: Code(self.text()),
            lambda: Code(self.text(), {"a": self.bson(0)}),
            lambda: DBRef(self.text(), self.bson(0)),
        )
        kind = self.byte() % (len(simple) + 6)
        if kind < len(simple):
            return simple[kind]()
        if kind == len(simple) and depth:
            return [self.bson(depth - 1) for _ in range(self.byte() % 3)]
        if kind == len(simple) + 1 and depth:
            return {self.text(): self.bson(depth - 1) for _ in range(self.byte() % 3)}
        said = self.json(0)
        return said if not isinstance(said, int) or -(2**63) <= said < 2**63 else Int64(5)


def printable(text: str) -> str:
    """``text`` with escapes for what cannot be printed."""
    return re.sub(r"[^ -~]", lambda found: ascii(found[0])[1:-1], text)
