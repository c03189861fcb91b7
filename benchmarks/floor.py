"""The floor: what single hand-written loops do with the same libraries, server and durability; no error handling.

They store the documents that the pipeline stores: with less in them nobody could sync twice. They do nothing else: no
decision log, no dead letters, no index of known files, no second look at what somebody changed in between.
"""

import ctypes
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from benchmarks.place import WORDS, Documents, Place, groups
from benchmarks.task import Task
from pipeline.tracos.indexes import IS_ID

__all__ = ["inbound_files", "inbound_lines", "merge_files", "outbound_files", "outbound_lines"]

BATCH: Final = 1000
WORD: Final = {status: word for word, status in WORDS.items()}
NOW: Final = "2026-11-01T00:00:00.000Z"
CONCERN: Final = {"w": "majority", "j": True}


class Order(msgspec.Struct, omit_defaults=True):
    """A status_order."""

    id: int
    status: str
    createdAt: datetime
    updatedAt: datetime | None = None
    title: str | None = None
    description: str | None = None


Came: TypeAlias = tuple[int, str, int]
Read: TypeAlias = tuple[str, bytes, Came]
"""A record's place, its bytes, and when it came."""

decode: Final = msgspec.json.Decoder(Order).decode
encode: Final = msgspec.json.Encoder().encode


def inbound_files(place: Place, task: Task) -> int:
    """Load a folder of small files: look up, insert the new, wait; how many were inserted."""
    return sum(_insert(batch, place.orders) for batch in groups(_files(Path(task.source)), BATCH))


def inbound_lines(place: Place, task: Task) -> int:
    """The same of NDJSON, read in blocks."""
    return sum(_insert(batch, place.orders) for batch in groups(_lines(Path(task.source)), BATCH))


def merge_files(place: Place, task: Task) -> int:
    """Update known orders with what differs: find, and a guarded update each, by raw commands; how many matched."""
    orders, matched = place.orders, 0
    for batch in groups(_files(Path(task.source)), BATCH):
        shown = {order.id: (name, body, came, order) for name, body, came in batch for order in (decode(body),)}
        found = orders.find({"number": {"$in": list(shown), **IS_ID}}, batch_size=BATCH)  # by the pipeline's index
        statements = []
        for document in found:
            name, body, came, order = shown[document["number"]]
            base = document["sync"]["base"]
            after = {"title": order.title, "description": order.description, "status": WORDS[order.status]}
            sets = {key: value for key, value in after.items() if value != base[key]}
            sets |= {"updatedAt": _text(order.updatedAt or order.createdAt), "isSynced": False}
            sets["sync"] = _sync(order, name, body, came)
            guard = {key: document[key] for key in ("_id", "title", "description", "status", "updatedAt")}
            statements.append({"q": guard | {"sync.rev": document["sync"]["rev"]}, "u": {"$set": sets}})
        reply = orders.database.command(
            {"update": orders.name, "updates": statements, "ordered": False, "writeConcern": CONCERN}
        )
        matched += reply["n"]
    return matched


def outbound_files(place: Place, task: Task) -> int:
    """Write a file for every unsynced order, durable by one syncfs a batch, and mark it; how many were sent."""
    syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    directory = os.open(place.outbound, os.O_RDONLY)
    orders, sent = place.orders, 0
    while documents := list(orders.find({"isSynced": {"$ne": True}}, batch_size=BATCH, limit=BATCH)):
        names = []
        for document in documents:
            name = f"{document['number']}.json"
            file = os.open(f".{name}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=directory)
            os.write(file, _body(document))
            os.close(file)
            names.append(name)
        syncfs(directory)
        for name in names:
            os.rename(f".{name}.tmp", name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
        sent += _mark(documents, orders)
    os.close(directory)
    return sent


def outbound_lines(place: Place, task: Task) -> int:
    """Write every unsynced order into one file of lines, and mark it; how many were sent."""
    orders, sent = place.orders, 0
    with (place.outbound / "orders.ndjson").open("wb") as file:
        while documents := list(orders.find({"isSynced": {"$ne": True}}, batch_size=BATCH, limit=BATCH)):
            file.write(b"".join(_body(document) + b"\n" for document in documents))
            file.flush()
            os.fsync(file.fileno())
            sent += _mark(documents, orders)
    return sent


def _files(folder: Path) -> Iterator[Read]:
    with os.scandir(folder) as entries:
        names = sorted((entry.stat().st_mtime_ns, entry.name) for entry in entries)
    directory = os.open(folder, os.O_RDONLY)
    for came, name in names:
        file = os.open(name, os.O_RDONLY, dir_fd=directory)
        yield name, os.read(file, 1 << 16), (came, name, 1)
        os.close(file)
    os.close(directory)


def _lines(folder: Path) -> Iterator[Read]:
    rest, number = b"", 0
    with (folder / "orders.ndjson").open("rb", buffering=0) as file:
        came = os.fstat(file.fileno()).st_mtime_ns
        while block := file.read(1 << 18):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                number += 1
                yield f"orders.ndjson:{number}", line, (came, "orders.ndjson", number)


def _insert(batch: list[Read], orders: Documents) -> int:
    read = [(name, body, came, decode(body)) for name, body, came in batch]
    numbers = [order.id for *_, order in read]
    found = orders.find({"number": {"$in": numbers}}, {"_id": 0, "number": 1}, batch_size=BATCH)
    known = {document["number"] for document in found}
    fresh = [_document(order, name, body, came) for name, body, came, order in read if order.id not in known]
    if fresh:
        orders.insert_many(fresh, ordered=False)
    return len(fresh)


def _document(order: Order, name: str, body: bytes, came: Came) -> dict[str, Any]:
    return {
        "number": order.id,
        "title": order.title,
        "description": order.description,
        "status": WORDS[order.status],
        "createdAt": _text(order.createdAt),
        "updatedAt": _text(order.updatedAt or order.createdAt),
        "deleted": False,
        "isSynced": True,
        "syncedAt": NOW,
        "sync": _sync(order, name, body, came),
    }


def _sync(order: Order, name: str, body: bytes, came: Came) -> dict[str, Any]:
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    base = {"title": order.title, "description": order.description, "status": WORDS[order.status], "deleted": False}
    return {
        "client": "erp_json",
        "id": order.id,
        "layout": "status_order",
        "base": base,
        "sent": [],
        "received": {
            "version": order.updatedAt,
            "hash": digest,
            "taken": [{"locator": name, "hash": digest}],
            "arrival": came,
            "latest": came,
        },
        "rev": 1,
    }


def _body(document: dict[str, Any]) -> bytes:
    said = {key: document[key] for key in ("title", "description", "createdAt", "updatedAt")}
    return encode({"id": document["number"], "status": WORD[document["status"]], **said})


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _mark(documents: list[dict[str, Any]], orders: Documents) -> int:
    ids = [document["_id"] for document in documents]
    orders.update_many({"_id": {"$in": ids}}, {"$set": {"isSynced": True, "syncedAt": NOW}})
    return len(ids)
