"""What people would write instead: programs for the same work that do an order at a time, or batches by hand."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiofiles
import aiofiles.os
import msgspec
from aiostream import pipe, stream
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection
from pymongo import UpdateOne, WriteConcern

from benchmarks.place import WORDS, Place, groups, plain
from benchmarks.task import Task

__all__ = ["bulk_write", "gather", "naive_inbound", "naive_outbound", "per_item"]

Orders = AsyncIOMotorCollection[dict[str, Any]]

WORD = {status: word for word, status in WORDS.items()}


def naive_inbound(place: Place, task: Task) -> int:
    """A file at a time by aiofiles, an upsert each."""
    paths = sorted(Path(task.source).iterdir())

    async def load(orders: Orders) -> int:
        for path in paths:
            await _upsert(orders, await _read(path))
        return len(paths)

    return _with_orders(place, load)


def gather(place: Place, task: Task) -> int:
    """The same, all at once."""
    paths = list(Path(task.source).iterdir())

    async def load(orders: Orders) -> int:
        async def one(path: Path) -> None:
            await _upsert(orders, await _read(path))

        await asyncio.gather(*map(one, paths))
        return len(paths)

    return _with_orders(place, load)


def per_item(place: Place, task: Task) -> int:
    """A chain of aiostream's own operators, an order at a time, eight under way."""
    paths = sorted(Path(task.source).iterdir())

    async def load(orders: Orders) -> int:
        async def read(path: Path, *_: Path) -> dict[str, Any]:
            return await _read(path)

        async def write(order: dict[str, Any], *_: dict[str, Any]) -> int:
            await _upsert(orders, order)
            return 1

        done = 0
        async with (
            stream.iterate(paths) | pipe.map(read, task_limit=8) | pipe.map(write, task_limit=8)
        ).stream() as results:
            async for one in results:
                done += one
        return done

    return _with_orders(place, load)


def bulk_write(place: Place, task: Task) -> int:
    """Pymongo's bulk_write of upserts, 500 at a time: what a careful person writes in an afternoon."""
    done = 0
    for paths in groups(sorted(Path(task.source).iterdir()), 500):
        read = [msgspec.json.decode(path.read_bytes()) for path in paths]
        upserts = [UpdateOne({"number": one["id"]}, {"$set": plain(one)}, upsert=True) for one in read]
        done += len(place.orders.bulk_write(upserts, ordered=False).upserted_ids or {})
    return done


def naive_outbound(place: Place, task: Task) -> int:
    """Find all, then a file and an update at a time, each file durable: written aside, fsynced, renamed."""

    async def send(orders: Orders) -> int:
        documents = await orders.find({"isSynced": {"$ne": True}}).to_list(None)
        for document in documents:
            body = msgspec.json.encode(
                {
                    "id": document["number"],
                    "status": WORD[document["status"]],
                    **{key: document[key] for key in ("title", "description", "createdAt", "updatedAt")},
                }
            )
            path = place.outbound / f"{document['number']}.json"
            async with aiofiles.open(path.with_suffix(".tmp"), "wb") as file:
                await file.write(body)
                await file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            await aiofiles.os.rename(path.with_suffix(".tmp"), path)
            await orders.update_one({"_id": document["_id"]}, {"$set": {"isSynced": True}})
        return len(documents)

    return _with_orders(place, send)


def _with_orders(place: Place, work: Callable[[Orders], Awaitable[int]]) -> int:
    async def run() -> int:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(place.uri)
        try:
            concern = WriteConcern(w="majority", j=True)
            return await work(client.get_database(place.name, write_concern=concern)["workorders"])
        finally:
            client.close()

    return asyncio.run(run())


async def _read(path: Path) -> dict[str, Any]:
    async with aiofiles.open(path, "rb") as file:
        order: dict[str, Any] = msgspec.json.decode(await file.read())
    return order


async def _upsert(orders: Orders, order: dict[str, Any]) -> None:
    await orders.update_one({"number": order["id"]}, {"$set": plain(order)}, upsert=True)
