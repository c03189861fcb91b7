"""What is remembered of an API from run to run, in a small SQLite file: how far it was read, each order's ETag."""

import asyncio
import os
import sqlite3
import time as clock
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from loguru import logger

from pipeline.dataflow.ports import Resource
from pipeline.disk import in_thread
from pipeline.errors import Fatal, See

__all__ = ["UNTAKEN", "State", "described"]

T = TypeVar("T")

GROUP: Final = 1000
AHEAD: Final = timedelta(days=1)
"""How far ahead of our clock a server's may be; what was read up to a later time was not."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

FORMAT: Final = 1
"""What ``user_version`` says of the tables below; 0: the release that did not say it, which had the same."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS read_to (url TEXT PRIMARY KEY, time TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS proofs (id TEXT PRIMARY KEY, proof BLOB) STRICT;
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, etag TEXT, is_stale INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS addresses (id TEXT PRIMARY KEY, href TEXT) STRICT;
CREATE TABLE IF NOT EXISTS failures (id TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS listed (id TEXT PRIMARY KEY, is_there INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS twins (id TEXT PRIMARY KEY, ours TEXT NOT NULL) STRICT;
"""

UNTAKEN: Final = ""
"""What is known as the ETag of an order of which no state was ever taken, although the client has it."""

COUNTED: Final = {
    "orders were taken": "proofs",
    "orders have an ETag": "orders WHERE etag <> ''",
    "orders are read again: they were changed when they were to be told": "orders WHERE is_stale",
    "orders were shown by the list": "listed WHERE is_there",
    "orders could not be told": "failures",
    "orders were made of ours under ids of the client's own": "twins",
}
"""What is told of the tables, and what is counted."""

NO_DAMAGE: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_AUTH,
    }
)
"""What ails the place and not the file: putting the file aside would not help."""


class _Later(sqlite3.DatabaseError):
    """A later version of the program has written the file."""

    def __str__(self) -> str:
        return "is of a later version"


class State(Resource):
    """Remembers in ``path``; what was remembered is durable, and what is known already is not written again.

    A file that is deleted is forgotten: the next run reads everything again, which changes nothing that is known. One
    that is damaged, or says what cannot be, is told, put aside and begun anew; it never stops a client.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._turn: asyncio.Lock
        self._is_whole = True

    async def open(self) -> None:
        """Open the file; raises Fatal where its place cannot be used."""
        self._turn = asyncio.Lock()
        await self._do(lambda database: None)
        self._is_whole = True

    async def close(self) -> None:
        """Close the file."""
        self._close()

    async def watermark(self, url: str) -> datetime | None:
        """The greatest time up to which everything of ``url`` is settled."""
        rows = await self._read("SELECT time FROM read_to WHERE url = ?", [url])
        self._is_whole = True  # from here on: what was lost before is lost for all of this run
        if not rows:
            return None
        try:
            moment = datetime.fromisoformat(rows[0][0])
            if EPOCH < moment < datetime.now(UTC) + AHEAD:
                return moment
        except (ValueError, TypeError):  # no time, or one without a zone
            pass
        logger.warning("{} holds a time that cannot be: it is forgotten, and everything is read again", self._path)
        await self.begin_anew()
        return None

    async def set_watermark(self, url: str, time: datetime) -> None:
        """Everything up to ``time`` is settled; not written where what was known before was lost in this run."""
        if self._is_whole:
            await self._write(_upsert("read_to", "url", "time"), [(url, time.isoformat())])

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
        await self._write(_upsert("proofs", "id", "proof"), proofs.items())

    async def etags(self, ids: Sequence[str]) -> Mapping[str, str]:
        """The ETags under which these orders were last taken, where they are known."""
        return await self._known("orders", "etag", ids)

    async def set_etags(self, etags: Mapping[str, str | None]) -> None:
        """These orders were taken, or told, as they are under these ETags."""
        rows = [(order_id, etag, 0) for order_id, etag in etags.items()]
        await self._write(_upsert("orders", "id", "etag", "is_stale"), rows)

    async def set_untaken(self, ids: Sequence[str]) -> None:
        """These orders were shown, and not taken: where no ETag of them is known, ``UNTAKEN`` stands for it."""
        rows = [(order_id, UNTAKEN) for order_id in ids]
        statement = """INSERT INTO orders (id, etag) VALUES (?, ?)
            ON CONFLICT (id) DO UPDATE SET etag = excluded.etag WHERE orders.etag IS NULL"""
        await self._write(statement, rows)

    async def untaken(self) -> Sequence[str]:
        """The orders that were shown, and of which nothing was ever taken."""
        return [row[0] for row in await self._read("SELECT id FROM orders WHERE etag = ?", [UNTAKEN])]

    async def stale(self) -> Sequence[str]:
        """The orders that somebody changed after they were last taken."""
        return [row[0] for row in await self._read("SELECT id FROM orders WHERE is_stale", [])]

    async def set_stale(self, ids: Sequence[str]) -> None:
        """These orders were changed after they were last taken: they are to be read again."""
        rows = [(order_id, 1) for order_id in ids]
        await self._write(_upsert("orders", "id", "is_stale"), rows)

    async def addresses(self, ids: Sequence[str]) -> Mapping[str, str]:
        """The addresses that the list showed of these orders, where it did."""
        return await self._known("addresses", "href", ids)

    async def set_addresses(self, addresses: Mapping[str, str | None]) -> None:
        """The list shows these orders at these addresses."""
        rows = [(order_id, href) for order_id, href in addresses.items() if href]
        await self._write(_upsert("addresses", "id", "href"), rows)

    async def listed(self) -> AsyncIterator[Sequence[str]]:
        """The orders that the list has shown, in groups."""
        last = ""
        query = "SELECT id FROM listed WHERE is_there AND id > ? ORDER BY id LIMIT ?"
        while rows := await self._read(query, [last, GROUP]):
            yield [row[0] for row in rows]
            last = rows[-1][0]

    async def set_listed(self, ids: Sequence[str]) -> None:
        """The list has shown these orders, and they were taken."""
        await self._write(_upsert("listed", "id", "is_there"), [(order_id, 1) for order_id in ids])

    async def set_unlisted(self, ids: Sequence[str]) -> None:
        """That the list shows these orders no more is known."""
        await self._write(_upsert("listed", "id", "is_there"), [(order_id, 0) for order_id in ids])

    async def failures(self, ids: Sequence[str]) -> Mapping[str, int]:
        """In how many runs these orders could not be told while others could, where there were any."""
        return await self._known("failures", "runs", ids)

    async def set_failures(self, runs: Mapping[str, int]) -> None:
        """In how many runs these orders could not be told."""
        await self._write(_upsert("failures", "id", "runs"), [one for one in runs.items() if one[1]])
        await self._write("DELETE FROM failures WHERE id = ?", [(one,) for one, count in runs.items() if not count])

    async def twins(self) -> Mapping[str, str]:
        """By the client's id, our ids of the orders that it made of ours under ids of its own."""
        return dict(await self._read("SELECT id, ours FROM twins", []))

    async def set_twin(self, order_id: str, ours: str) -> None:
        """The client calls ``ours`` so."""
        await self._write(_upsert("twins", "id", "ours"), [(order_id, ours)])

    async def forget_twins(self, ids: Sequence[str]) -> None:
        """The orders that the client calls so are known by these ids."""
        await self._write("DELETE FROM twins WHERE id = ?", [(one,) for one in ids])

    async def erase(self, ids: Sequence[str]) -> int:
        """Forget all of these orders, so that nothing is left of them in the file; of how many rows."""

        def erase(database: sqlite3.Connection) -> int:
            before = database.total_changes
            with database:
                for table in ("proofs", "orders", "addresses", "failures", "listed", "twins"):
                    database.executemany(f"DELETE FROM {table} WHERE id = ?", [(one,) for one in ids])  # noqa: S608 - names of ours
                database.executemany("DELETE FROM twins WHERE ours = ?", [(one,) for one in ids])
            database.execute("VACUUM")  # what was deleted, or written over before, is in the file until then
            for aside in self._path.parent.glob(f"{self._path.name}.damaged-*"):
                aside.unlink()
            return database.total_changes - before

        return await self._do(erase)

    async def _known(self, table: str, column: str, ids: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for start in range(0, len(ids), GROUP):
            group = ids[start : start + GROUP]
            places = ", ".join("?" * len(group))
            query = f"SELECT id, {column} FROM {table} WHERE {column} IS NOT NULL AND id IN ({places})"  # noqa: S608 - names of ours
            found |= dict(await self._read(query, group))
        return found

    async def _read(self, query: str, values: Sequence[Any]) -> list[Any]:
        return await self._do(lambda database: database.execute(query, values).fetchall())

    async def _write(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        rows = list(rows)

        def write(database: sqlite3.Connection) -> None:
            with database:
                database.executemany(statement, rows)

        if rows:
            await self._do(write)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        async with self._turn:
            return await in_thread(lambda: self._in_turn(work))

    def _in_turn(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            try:
                return work(self._connected())
            except sqlite3.Error as error:
                if not self._is_damaged(error):
                    raise
                self._put_aside(error)
                return work(self._connected())
        except (sqlite3.Error, OSError) as error:
            raise Fatal(
                f"{self._path} cannot be used ({error}): set its permissions, or DATA_STATE_DIR; it may be deleted, "
                "and everything is then read again",
                see=See.FILES,
            ) from error

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # SQLite would make it for all to read; what ails the place, it tells
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            database = sqlite3.connect(self._path, check_same_thread=False)
            try:
                with closing(database.cursor()) as cursor:
                    (said,) = cursor.execute("PRAGMA quick_check(1)").fetchone()
                    if said != "ok":
                        raise sqlite3.DatabaseError(said)
                    (version,) = cursor.execute("PRAGMA user_version").fetchone()
                    if version > FORMAT:
                        raise _Later
                    cursor.executescript(SCHEMA if version == FORMAT else f"{SCHEMA}PRAGMA user_version = {FORMAT};")
            except sqlite3.Error:
                database.close()
                raise
            self._database = database
        return self._database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _is_damaged(self, error: sqlite3.Error) -> bool:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        return self._path.is_dir() or code not in NO_DAMAGE

    def _put_aside(self, error: sqlite3.Error) -> None:
        """Rename the file, and what SQLite keeps beside it, which would be taken for the new one's."""
        self._close()
        aside = self._path.with_name(f"{self._path.name}.damaged-{clock.time_ns()}")
        for ending in ("", "-journal", "-wal", "-shm"):
            beside = self._path.with_name(self._path.name + ending)
            if beside.exists():
                beside.replace(aside.with_name(aside.name + ending))
        self._is_whole = False
        what = error if isinstance(error, _Later) else f"is damaged ({error})"
        logger.warning("{} {}: put aside as {}; everything is read again", self._path, what, aside.name)


def described(path: Path) -> tuple[int, list[str]]:
    """The version of what is remembered in ``path``, and what that is, a line each; writes nothing.

    Raises OSError and sqlite3.Error where that cannot be told.
    """
    with path.open("rb"):
        pass  # SQLite does not say why it cannot
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        says = [f"{url} is read up to {time}" for url, time in database.execute("SELECT url, time FROM read_to")]
        for what, where in COUNTED.items():
            (count,) = database.execute(f"SELECT count(*) FROM {where}").fetchone()  # noqa: S608 - names of ours
            says += [f"{count:,} {what}"] if count else []
    return version, says


def _upsert(table: str, key: str, *columns: str) -> str:
    """A statement that writes a row, unless it is there already: what is known is not written again."""
    names = ", ".join((key, *columns))
    sets = ", ".join(f"{column} = excluded.{column}" for column in columns)
    differs = " OR ".join(f"{table}.{column} IS NOT excluded.{column}" for column in columns)
    places = ", ".join("?" * (1 + len(columns)))
    insert = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - names of ours
    return f"{insert} ON CONFLICT ({key}) DO UPDATE SET {sets} WHERE {differs}"
