"""What is remembered of an API from run to run, in a small SQLite file: how far it was read, each order's ETag."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from pipeline.dataflow.ports import Resource
from pipeline.disk import in_thread
from pipeline.errors import Fatal

__all__ = ["State"]

T = TypeVar("T")

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS watermark (url TEXT PRIMARY KEY, time TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, etag TEXT, is_stale INTEGER NOT NULL DEFAULT 0) STRICT;
"""


class State(Resource):
    """Remembers in ``path``; what was remembered is durable. With ``rehearse`` it is read, and not even made.

    A file that is deleted is forgotten: the next run reads everything again, which changes nothing that is known.
    """

    def __init__(self, path: Path, *, rehearse: bool = False) -> None:
        self._path = path
        self._rehearse = rehearse
        self._database: sqlite3.Connection | None = None
        self._turn: asyncio.Lock

    async def open(self) -> None:
        """Open the file; raises Fatal when that cannot be done."""
        self._turn = asyncio.Lock()
        await in_thread(self._open)

    async def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    async def watermark(self, url: str) -> datetime | None:
        """The greatest time up to which everything of ``url`` is settled."""
        rows = await self._read("SELECT time FROM watermark WHERE url = ?", [url])
        return datetime.fromisoformat(rows[0][0]) if rows else None

    async def set_watermark(self, url: str, time: datetime) -> None:
        """Everything up to ``time`` is settled."""
        await self._write("INSERT OR REPLACE INTO watermark VALUES (?, ?)", [(url, time.isoformat())])

    async def etags(self, ids: Sequence[str]) -> Mapping[str, str]:
        """The ETags under which these orders were last taken, where they are known."""
        places = ", ".join("?" * len(ids))
        query = f"SELECT id, etag FROM orders WHERE etag IS NOT NULL AND id IN ({places})"  # noqa: S608 - ? alone
        return dict(await self._read(query, ids))

    async def set_etags(self, etags: Mapping[str, str | None]) -> None:
        """These orders were taken, or told, as they are under these ETags."""
        await self._write("INSERT OR REPLACE INTO orders (id, etag) VALUES (?, ?)", etags.items())

    async def stale(self) -> Sequence[str]:
        """The orders that somebody changed after they were last taken."""
        return [row[0] for row in await self._read("SELECT id FROM orders WHERE is_stale", [])]

    async def set_stale(self, ids: Sequence[str]) -> None:
        """These orders were changed after they were last taken: they are to be read again."""
        upsert = "INSERT INTO orders (id, is_stale) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET is_stale = 1"
        await self._write(upsert, [(order_id,) for order_id in ids])

    async def _read(self, query: str, values: Sequence[Any]) -> list[Any]:
        database = self._database
        return [] if database is None else await self._try(lambda: database.execute(query, values).fetchall())

    async def _write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        database = self._database
        rows = list(rows)
        if database is None or self._rehearse or not rows:
            return

        def write() -> None:
            with database:
                database.executemany(statement, rows)

        await self._try(write)

    async def _try(self, function: Callable[[], T]) -> T:
        try:
            async with self._turn:
                return await in_thread(function)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _open(self) -> None:
        try:
            if self._rehearse:
                if self._path.exists():
                    address = f"{self._path.resolve().as_uri()}?mode=ro"
                    self._database = sqlite3.connect(address, uri=True, check_same_thread=False)
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._path, check_same_thread=False)
            with closing(self._database.cursor()) as cursor:
                cursor.executescript(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> Fatal:
        return Fatal(
            f"{self._path} cannot be used ({error}): set its permissions, or DATA_STATE_DIR; it may be deleted, and "
            "everything is then read again"
        )
