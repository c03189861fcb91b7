"""What is remembered of an API from run to run, in a small SQLite file: how far it was read, each order's ETag."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from pipeline.dataflow.ports import Resource
from pipeline.disk import in_thread
from pipeline.errors import Fatal

__all__ = ["State"]

T = TypeVar("T")

GROUP: Final = 1000

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS read_to (url TEXT PRIMARY KEY, time TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS proofs (id TEXT PRIMARY KEY, proof BLOB) STRICT;
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, etag TEXT, is_stale INTEGER NOT NULL DEFAULT 0) STRICT;
"""


class State(Resource):
    """Remembers in ``path``; what was remembered is durable.

    A file that is deleted is forgotten: the next run reads everything again, which changes nothing that is known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
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
        rows = await self._read("SELECT time FROM read_to WHERE url = ?", [url])
        return datetime.fromisoformat(rows[0][0]) if rows else None

    async def set_watermark(self, url: str, time: datetime) -> None:
        """Everything up to ``time`` is settled."""
        await self._write("INSERT OR REPLACE INTO read_to VALUES (?, ?)", [(url, time.isoformat())])

    async def proofs(self) -> AsyncIterator[Sequence[bytes]]:
        """Those of all orders that were taken, in groups; an empty one, which never holds, where there was none."""
        last = ""
        query = "SELECT id, proof FROM proofs WHERE id > ? ORDER BY id LIMIT ?"
        while rows := await self._read(query, [last, GROUP]):
            yield [proof or b"" for _, proof in rows]
            last = rows[-1][0]

    async def begin_anew(self) -> None:
        """Forget how far everything was read, and what was taken."""
        await self._write("DELETE FROM read_to WHERE ?", [(1,)])
        await self._write("DELETE FROM proofs WHERE ?", [(1,)])

    async def set_proofs(self, proofs: Mapping[str, bytes | None]) -> None:
        """These orders were taken; by what that can be seen later."""
        await self._write("INSERT OR REPLACE INTO proofs VALUES (?, ?)", proofs.items())

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
        if database is None or not rows:
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
