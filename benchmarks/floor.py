"""The floor: what a single hand-written loop does with the same libraries, server and durability; no error handling.

Inbound it looks up, inserts the new and waits (w=majority, j=true), a batch of 500 at a time. Outbound it writes a
batch of files, makes them durable with one syncfs, renames them, fsyncs the folder, and marks the batch in one update.
"""

import ctypes
import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from pymongo.collection import Collection

BATCH: Final = 500
STATUS: Final = {
    "NEW": "created",
    "PENDING": "pending",
    "IN_PROGRESS": "in_progress",
    "ON_HOLD": "on_hold",
    "DONE": "completed",
    "CANCELLED": "cancelled",
}
WORD: Final = {status: word for word, status in STATUS.items()}


class Order(msgspec.Struct, omit_defaults=True):
    """A status_order."""

    id: int
    status: str
    createdAt: str
    updatedAt: str | None = None
    title: str | None = None
    description: str | None = None


def inbound(folder: Path, collection: "Collection[dict[str, Any]]") -> int:
    """Load every file of ``folder``; how many orders were inserted."""
    decode = msgspec.json.Decoder(Order).decode
    with os.scandir(folder) as entries:
        names = [name for _, name in sorted((entry.stat().st_mtime_ns, entry.name) for entry in entries)]
    directory = os.open(folder, os.O_RDONLY)
    inserted = 0
    for start in range(0, len(names), BATCH):
        batch = names[start : start + BATCH]
        bodies = [_bytes(name, directory) for name in batch]
        orders = [decode(body) for body in bodies]
        numbers = [order.id for order in orders]
        found = collection.find({"number": {"$in": numbers}}, {"_id": 0, "number": 1}, batch_size=BATCH)
        known = {document["number"] for document in found}
        fresh = [
            _document(order, name, body)
            for order, name, body in zip(orders, batch, bodies, strict=True)
            if order.id not in known
        ]
        collection.insert_many(fresh, ordered=False)
        inserted += len(fresh)
    os.close(directory)
    return inserted


def outbound(folder: Path, collection: "Collection[dict[str, Any]]") -> int:
    """Write a durable file for every unsynced order and mark it; how many were sent."""
    syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    directory = os.open(folder, os.O_RDONLY)
    encode = msgspec.json.Encoder().encode
    sent = 0
    while documents := list(collection.find({"isSynced": {"$ne": True}}, batch_size=BATCH, limit=BATCH)):
        names = []
        for document in documents:
            order = Order(
                document["number"],
                WORD[document["status"]],
                document["createdAt"],
                document.get("updatedAt"),
                document.get("title"),
                document.get("description"),
            )
            name = f"{order.id}.json"
            file = os.open(f".{name}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, dir_fd=directory)
            os.write(file, encode(order))
            os.close(file)
            names.append(name)
        syncfs(directory)
        for name in names:
            os.rename(f".{name}.tmp", name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
        ids = [document["_id"] for document in documents]
        collection.update_many({"_id": {"$in": ids}}, {"$set": {"isSynced": True, "syncedAt": "2026-11-01T00:00:00Z"}})
        sent += len(documents)
    os.close(directory)
    return sent


def _bytes(name: str, directory: int) -> bytes:
    file = os.open(name, os.O_RDONLY, dir_fd=directory)
    data = os.read(file, 1 << 16)
    os.close(file)
    return data


def _document(order: Order, name: str, body: bytes) -> dict[str, Any]:
    status = STATUS[order.status]
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    return {
        "number": order.id,
        "title": order.title,
        "description": order.description,
        "status": status,
        "createdAt": order.createdAt,
        "updatedAt": order.updatedAt,
        "deleted": False,
        "isSynced": True,
        "syncedAt": "2026-11-01T00:00:00.000Z",
        "sync": {
            "client": "erp_json",
            "id": order.id,
            "layout": "status_order",
            "base": {"title": order.title, "description": order.description, "status": status, "deleted": False},
            "sent": [],
            "received": {
                "version": datetime.fromisoformat(order.updatedAt or order.createdAt),
                "hash": digest,
                "taken": [{"locator": name, "hash": digest}],
            },
            "rev": 1,
        },
    }
