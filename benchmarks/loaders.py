"""A file of lines loaded with what the pipeline needs anyway, msgspec and pymongo: plain documents, nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from pymongo import UpdateOne

from benchmarks.place import Place, groups, plain
from benchmarks.task import Task

__all__ = ["bulk_write", "insert_many"]


def insert_many(place: Place, task: Task) -> int:
    """Decode and insert, 1,000 at a time: whatever is there already is an error, where an index tells."""
    return sum(
        len(place.orders.insert_many(group, ordered=False).inserted_ids) for group in groups(_documents(task), 1000)
    )


def bulk_write(place: Place, task: Task) -> int:
    """Upserts, 1,000 at a time: what was there is overwritten, whoever edited it."""
    done = 0
    for group in groups(_documents(task), 1000):
        upserts = [UpdateOne({"number": one["number"]}, {"$set": one}, upsert=True) for one in group]
        done += len(place.orders.bulk_write(upserts, ordered=False).upserted_ids or {})
    return done


def _documents(task: Task) -> Iterator[dict[str, Any]]:
    with (Path(task.source) / "orders.ndjson").open("rb") as lines:
        yield from map(plain, map(msgspec.json.Decoder().decode, lines))
