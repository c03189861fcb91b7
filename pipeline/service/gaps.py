"""What a comparison has found, kept out of memory: in a temporary database of SQLite's, gone when it closes."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from pipeline.errors import Fatal, See
from pipeline.orders.compare import Alone, Gap, GapKind, Seen
from pipeline.orders.workorder import ExternalId

__all__ = ["Gaps"]

T = TypeVar("T")

SCHEMA: Final = """
CREATE TABLE shown (key TEXT PRIMARY KEY, number TEXT, is_news INTEGER, version REAL, gaps BLOB) WITHOUT ROWID;
CREATE TABLE held (number TEXT PRIMARY KEY, waits INTEGER, unsure INTEGER, gaps BLOB) WITHOUT ROWID;
"""

SAW: Final = "INSERT OR IGNORE INTO shown VALUES (?, NULL, -1, NULL, NULL)"

COMPARED: Final = """
INSERT INTO shown VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
    number = excluded.number, is_news = excluded.is_news, gaps = excluded.gaps,
    version = coalesce(excluded.version, version)
WHERE excluded.is_news > is_news OR (
    excluded.is_news = is_news AND (excluded.version >= version OR excluded.version IS NULL OR version IS NULL)
)
"""
"""The record that a run would take last counts: a newer one, and among equals the one that came later."""

LOOKED_AT: Final = "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)"

IN_ORDER: Final = """
SELECT gaps FROM (
    SELECT number, gaps FROM shown UNION ALL SELECT number, gaps FROM held
) WHERE gaps IS NOT NULL ORDER BY length(number), number
"""

_DECODER: Final = msgspec.json.Decoder(list[Gap])


class Gaps:
    """The gaps of one client; told record by record and document by document, in any number of batches.

    What is told of an order again replaces what was told before, where it counts more. ``close`` it in the end.
    """

    def __init__(self) -> None:
        self._database = self._do(lambda: sqlite3.connect("", check_same_thread=False))
        self._do(lambda: self._database.executescript(SCHEMA))

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def saw(self, keys: Iterable[ExternalId]) -> None:
        """The client shows these orders, by its ids as ids are compared; whatever can be made of them."""
        self._write(SAW, [(str(key),) for key in keys])

    def compared(self, seen: Sequence[Seen]) -> None:
        """What records show beside their documents."""
        self._write(COMPARED, [_row(one) for one in seen])

    def looked_at(self, documents: Iterable[tuple[Alone, Sequence[Gap]]]) -> None:
        """Documents, and the gaps that they have by themselves."""
        rows = [(str(one.number), one.waits, one.is_unsure, _encoded(gaps)) for one, gaps in documents]
        self._write(LOOKED_AT, rows)

    def shown(self, keys: Sequence[ExternalId]) -> Mapping[str, Sequence[Gap]]:
        """Those of these orders that the client shows, by key as a text, with the gaps that records have shown."""
        names = [str(key) for key in keys]
        query = f"SELECT key, gaps FROM shown WHERE key IN ({', '.join('?' * len(names))})"  # noqa: S608 - places alone
        rows = self._do(lambda: self._database.execute(query, names).fetchall())
        return {key: _DECODER.decode(gaps) if gaps else () for key, gaps in rows}

    def counts(self) -> dict[str, int]:
        """How many orders have a gap of each kind; those that wait for the next run, and those nobody is sure of."""
        orders: Counter[str] = Counter()
        for group in self._groups():
            orders.update({gap.kind for gap in group})
        sums = "SELECT coalesce(sum(waits), 0), coalesce(sum(unsure), 0) FROM held"
        waits, unsure = self._do(lambda: self._database.execute(sums).fetchone())
        return {**{kind.value: orders[kind] for kind in GapKind}, "waits": waits, "unsure": unsure}

    def __iter__(self) -> Iterator[Gap]:
        for group in self._groups():
            yield from group

    def _groups(self) -> Iterator[list[Gap]]:
        cursor = self._do(lambda: self._database.execute(IN_ORDER))
        while (row := self._do(cursor.fetchone)) is not None:
            yield _DECODER.decode(row[0])

    def _write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            self._do(lambda: self._database.executemany(statement, rows))

    def _do(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except sqlite3.Error as error:
            raise Fatal(
                f"what was found cannot be kept ({error}): free the disk, or set TMPDIR to a place that has room",
                see=See.FILES,
            ) from error


def _encoded(gaps: Sequence[Gap]) -> bytes | None:
    return msgspec.json.encode(gaps) if gaps else None


def _row(seen: Seen) -> tuple[Any, ...]:
    number = str(seen.gaps[0].number) if seen.gaps else None
    version = None if seen.version is None else seen.version.timestamp()
    return str(seen.key), number, seen.is_news, version, _encoded(seen.gaps)
