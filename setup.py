"""Write sample work orders, into TracOS and into the inbound folder: ``python setup.py``.

This is no setuptools script. What is there already is left alone, so that a second run changes nothing.
"""

import argparse
import os
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from pipeline.cli.started import begun_by, beside
from pipeline.errors import Fatal
from pipeline.orders.workorder import Status
from pipeline.service.settings import Settings, load
from pipeline.tracos.embedded import embedded_mongod
from pipeline.translation import flag_order, status_order
from pipeline.translation.times import format_time

FLAG_OF, WORD_OF = flag_order.TABLE.status.word_of, status_order.TABLE.status.word_of

BEGIN = datetime(2026, 10, 1, 8, tzinfo=UTC)
BULK = 5_000
BULK_NUMBERS = 100_000
SUBJECTS = ("Pump", "Valve", "Conveyor", "Compressor", "Boiler", "Press")
WORK = ("Grease the bearing", "Replace the seal", "Check the vibration", "Calibrate the sensor", "Clean the filter")

Order = dict[str, Any]


def when(day: int, hour: int = 8) -> str:
    """A time in October 2026."""
    return format_time(BEGIN.replace(day=day, hour=hour))


INBOUND: Mapping[str, Any] = {
    "101.json": {"id": 101, "status": "NEW", "title": "Pump leaks", "createdAt": when(1)},
    "102.json": {
        "id": 102,
        "status": "IN_PROGRESS",
        "title": "Replace the seal",
        "description": "Seal kit 4711",
        "createdAt": when(1),
        "updatedAt": when(3),
    },
    "103.json": {"id": 103, "status": "DONE", "title": "Newer here", "createdAt": when(1), "updatedAt": when(9)},
    "104.json": {"id": 104, "status": "PENDING", "title": "Older here", "createdAt": when(1), "updatedAt": when(2)},
    "201.json": {"orderNo": 201, "isPending": True, "summary": "Check the belt", "creationDate": when(2)},
    "202.json": {
        "orderNo": 202,
        "isActive": True,
        "summary": "Grease the bearing",
        "creationDate": "2026-10-02T05:00:00-03:00",
        "lastUpdateDate": when(4),
    },
    "203.json": {
        "orderNo": 203,
        "isDeleted": True,
        "summary": "Ordered twice",
        "creationDate": when(2),
        "lastUpdateDate": when(5),
        "deletedDate": when(5),
    },
    "morning.json": [
        {"id": 301, "status": "ON_HOLD", "title": "Wait for parts", "createdAt": "2026-10-03"},
        {"orderNo": "302-A", "isDone": True, "summary": "Text for a number", "creationDate": when(3)},
    ],
    "night.ndjson": [
        {"id": 401, "status": "CANCELLED", "title": "Not needed", "createdAt": when(4), "updatedAt": when(6)},
        {"orderNo": 402, "isCanceled": True, "summary": "Nor this one", "creationDate": when(4)},
    ],
}
"""The client's files; a list goes out as an array, or a line each."""

BAD: Mapping[str, bytes | Path] = {
    "bad-malformed.json": b'{"id": 901, "status": "NEW", "createdAt": ',
    "bad-schema.json": b'{"id": 902, "status": "LOST", "createdAt": "yesterday", "title": 7}\n',
    "bad-unreadable.json": Path("taken-away.json"),  # a link to nothing: the superuser cannot read it either
}

TRACOS: tuple[Order, ...] = (
    {"number": 1, "title": "Born in TracOS", "status": "created", "createdAt": when(1), "isSynced": False},
    {"number": 2, "title": "Without isSynced", "status": "pending", "createdAt": when(1)},
    {
        "number": 3,
        "title": "With BSON dates",
        "description": "Written by another program",
        "status": "in_progress",
        "createdAt": BEGIN,
        "updatedAt": BEGIN + timedelta(days=1),
        "deleted": False,
        "isSynced": False,
    },
    {
        "number": 4,
        "title": "Deleted here",
        "status": "cancelled",
        "createdAt": when(1),
        "updatedAt": when(5),
        "deleted": True,
        "deletedAt": when(5),
        "isSynced": False,
    },
    {
        "number": 103,
        "title": "Older in TracOS",
        "status": "in_progress",
        "createdAt": when(1),
        "updatedAt": when(4),
        "isSynced": False,
    },
    {
        "number": 104,
        "title": "Newer in TracOS",
        "status": "on_hold",
        "createdAt": when(1),
        "updatedAt": when(8),
        "isSynced": False,
    },
)


def bulk(orders: int, seed: int) -> tuple[Iterator[tuple[str, Any]], Iterator[Order]]:
    """``orders`` files and as many documents, of which half have a number in common."""
    client, tracos = random.Random(seed), random.Random(seed + 1)
    first = BULK_NUMBERS + orders // 2
    files = ((f"order-{number}.json", _client_order(number, client)) for number in _numbers(BULK_NUMBERS, orders))
    return files, (_tracos_order(number, tracos) for number in _numbers(first, orders))


def _numbers(first: int, count: int) -> range:
    return range(first, first + count)


def _client_order(number: int, chance: random.Random) -> Order:
    created = BEGIN + timedelta(minutes=chance.randrange(10_000))
    updated = created + timedelta(minutes=chance.randrange(10_000))
    status, title = chance.choice(list(Status)), f"{chance.choice(SUBJECTS)} {number}"
    if chance.random() < 0.5:
        order = {"orderNo": number, FLAG_OF[status]: True, "summary": title}
        return order | {"creationDate": format_time(created), "lastUpdateDate": format_time(updated)}
    order = {"id": number, "status": WORD_OF[status], "title": title, "description": chance.choice(WORK)}
    return order | {"createdAt": format_time(created), "updatedAt": format_time(updated)}


def _tracos_order(number: int, chance: random.Random) -> Order:
    created = BEGIN + timedelta(minutes=chance.randrange(10_000))
    updated = created + timedelta(minutes=chance.randrange(10_000))
    as_text = chance.random() < 0.5
    return {
        "number": number,
        "title": f"{chance.choice(SUBJECTS)} {number}",
        "description": chance.choice(WORK),
        "status": chance.choice(list(Status)).value,
        "createdAt": format_time(created) if as_text else created,
        "updatedAt": format_time(updated) if as_text else updated,
        "deleted": False,
        "isSynced": False,
    }


def write_files(folder: Path, files: Iterator[tuple[str, Any]]) -> int:
    """Write those files that are missing, dated one second apart; how many were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for age, (name, content) in enumerate(files):
        path = folder / name
        if os.path.lexists(path):
            continue
        if isinstance(content, Path):
            path.symlink_to(content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else _encoded(name, content))
        moment = BEGIN.timestamp() + age
        os.utime(path, (moment, moment), follow_symlinks=False)
        written += 1
    return written


def _encoded(name: str, content: Any) -> bytes:
    if name.endswith(".ndjson"):
        return msgspec.json.Encoder().encode_lines(content)
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def insert(uri: str, settings: Settings, documents: Iterator[Order]) -> int:
    """Insert those documents whose number is missing; how many were inserted."""
    with MongoClient[Order](uri, tz_aware=True, serverSelectionTimeoutMS=5_000) as client:
        collection = client[settings.database][settings.mongo_collection]
        inserted = 0
        while chunk := [document for _, document in zip(range(BULK), documents, strict=False)]:
            numbers = [document["number"] for document in chunk]
            known = collection.distinct("number", {"number": {"$in": numbers}})
            missing = [document for document in chunk if document["number"] not in set(known)]
            if missing:
                inserted += len(collection.insert_many(missing).inserted_ids)
        return inserted


def main() -> int:
    """Write the samples; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write sample work orders into TracOS and into the inbound folder.")
    parser.add_argument("--orders", type=int, default=0, help="write this many more on each side")
    parser.add_argument("--seed", type=int, default=1, help="of the orders that --orders writes")
    options = parser.parse_args()
    more_files, more_documents = bulk(options.orders, options.seed)
    try:
        settings = load(os.environ, Path(".env"))
        files = write_files(settings.data_inbound_dir, iter([*INBOUND.items(), *BAD.items(), *more_files]))
        mongo = embedded_mongod(settings.data_mongo_dir, binary=settings.mongod_bin)
        with nullcontext(settings.mongo_uri) if settings.mongo_uri else mongo as uri:
            documents = insert(uri, settings, iter([*TRACOS, *more_documents]))
    except Fatal as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except PyMongoError as error:
        print(f"MongoDB does not take the samples ({type(error).__name__}); see MONGO_URI", file=sys.stderr)
        return 1
    print(f"{documents:,} new work orders in TracOS ({settings.database}.{settings.mongo_collection})")
    print(f"{files:,} new files in {settings.data_inbound_dir}" + (", three of them bad on purpose" if files else ""))
    begun_by(sys.orig_argv, sys.argv[1:])
    print(f"next: {beside('src/main.py')}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
