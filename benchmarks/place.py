"""A place to measure in: a database of its own, folders of its own, and the orders in them."""

import asyncio
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection

from pipeline.tracos import indexes as pipelines
from pipeline.translation.status_order import TABLE
from pipeline.translation.times import format_time

__all__ = ["WORDS", "Documents", "Indexes", "Place", "fill_with_files", "fill_with_lines", "groups", "order", "plain"]

Documents = Collection[dict[str, Any]]

Indexes = Literal["none", "two", "pipeline"]
"""Those of a new collection: two as a hand-written program has them, or the three that the pipeline makes itself."""

BAD: Final = b'{"id": "no status", "createdAt": "yesterday"}'

WORDS: Final = {word: status.value for word, status in TABLE.status.words.items()}


class Place:
    """A database ``name`` on the server at ``uri``, and folders in ``root``."""

    def __init__(self, uri: str, root: Path, name: str) -> None:
        self.uri, self.name, self.root = uri, name, root / name
        self.outbound, self.state = self.root / "outbound", self.root / "state"
        self._client: MongoClient[dict[str, Any]] = MongoClient(uri)
        concern = WriteConcern(w="majority", j=True)
        self.orders: Documents = self._client.get_database(name, write_concern=concern)["workorders"]

    def make(self, indexes: Indexes = "two") -> "Place":
        """Make the folders and the indexes."""
        self.outbound.mkdir(parents=True)
        match indexes:
            case "two":
                self.orders.create_index("number", unique=True, partialFilterExpression={"number": {"$exists": True}})
                self.orders.create_index([("isSynced", 1), ("_id", 1)])
            case "pipeline":
                asyncio.run(self._make_the_pipelines())
            case "none":
                pass
        return self

    async def _make_the_pipelines(self) -> None:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(self.uri)
        await pipelines.prepare(client.get_database(self.name)[self.orders.name])
        client.close()

    def remove(self) -> None:
        """Forget the database and what was noted.

        Folders of many small files stay: making files soon after many were removed is up to five times slower on ext4,
        which whoever comes next would pay for.
        """
        self._client.drop_database(self.name)
        self.close()
        shutil.rmtree(self.state, ignore_errors=True)
        for path in self.root.glob("*.jsonl"):
            path.unlink()

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def with_documents(self, count: int, *, unsynced: int | None = None) -> "Place":
        """``count`` documents, as people enter them in TracOS; ``unsynced`` of them (all) wait to be sent."""
        waiting = count if unsynced is None else unsynced
        every = max(1, count // max(1, waiting))
        for group in groups(range(count), 5000):
            self.orders.insert_many([document(n, is_synced=waiting == 0 or n % every != 0) for n in group])
        return self


def order(number: int, *, edition: int = 0) -> dict[str, Any]:
    """A status_order; a later ``edition`` of it has another title and update time."""
    created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "id": number,
        "status": list(WORDS)[number % 6],
        "title": f"Work order {number}" + (f", edition {edition}" if edition else ""),
        "description": "Check the bearing, note the temperature, grease where needed",
        "createdAt": format_time(created),
        "updatedAt": format_time(created + timedelta(hours=1 + edition)),
    }


def plain(said: dict[str, Any]) -> dict[str, Any]:
    """The document that somebody makes of a status_order who wants no more than to have it in MongoDB."""
    kept = {key: said[key] for key in ("title", "description", "createdAt", "updatedAt")}
    return {"number": said["id"], "status": WORDS[said["status"]], "isSynced": True, **kept}


def document(number: int, *, is_synced: bool) -> dict[str, Any]:
    """What TracOS holds of such an order."""
    said = order(number)
    return {
        "number": number,
        "title": said["title"],
        "description": said["description"],
        "status": WORDS[said["status"]],
        "createdAt": said["createdAt"],
        "updatedAt": said["updatedAt"],
        "deleted": False,
        "isSynced": is_synced,
    }


def fill_with_files(folder: Path, count: int, *, edition: int = 0) -> None:
    """``count`` files, an order each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:07}.json"
        path.write_bytes(msgspec.json.encode(order(number, edition=edition)))
        os.utime(path, (1_760_000_000 + number, 1_760_000_000 + number))


def fill_with_lines(folder: Path, count: int, *, bad: float = 0) -> None:
    """One file of ``count`` lines, an order each; every 1/``bad``-th line is no order."""
    folder.mkdir(parents=True, exist_ok=True)
    every = round(1 / bad) if bad else count + 1
    path = folder / "orders.ndjson"
    with path.open("wb") as lines:
        for number in range(count):
            is_bad = number % every == every - 1
            lines.write((BAD if is_bad else msgspec.json.encode(order(number))) + b"\n")
    os.utime(path, (1_760_000_000, 1_760_000_000))


def groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """``items`` in lists of ``size``."""
    source = iter(items)
    while group := list(islice(source, size)):
        yield group
