"""The orders of both sides, as many of each, and what both are to hold once all is told."""

import os
import re

import msgspec
from pymongo.errors import BulkWriteError

from tests.mongo import again

TWIN = 11000
CREATED = "2026-10-01T08:00:00.000Z"
EDITED = "2026-10-02T08:00:00.000Z"
LINES = 500
"""Orders of a file, of those that do not have one each."""

DOOMED = "doomed"
"""The title that people give who do not wait for a majority."""

ODD = {"sync.rev": {"$gt": 1}}
"""What was written more than once, which differs where an edit is not confirmed."""


def fill(plant, count: int) -> None:
    """``count`` new orders on each side: of the client from 0 on, of TracOS from -1 down."""
    _put(plant, "new", [_record(number, f"Order {number}") for number in range(count)])
    born = [
        {"number": number, "title": f"Order {number}", "status": "created", "createdAt": CREATED}
        for number in range(-count, 0)
    ]
    again(lambda: _insert(plant.orders, born))


def edit(plant, count: int) -> None:
    """A fifth of all orders is edited by the client, another fifth in TracOS."""
    theirs = [number for number in range(-count, count) if is_edited_by_client(number)]
    records = [_record(number, title_of(number, edited=True)) | {"updatedAt": EDITED} for number in theirs]
    _put(plant, "edited", records)
    what = {"$expr": {"$eq": [{"$abs": {"$mod": ["$number", 5]}}, 1]}}
    title = {"$concat": ["tracos ", {"$toString": "$number"}]}
    sets = {"title": title, "isSynced": False, "updatedAt": EDITED}
    again(lambda: plant.orders.update_many(what, [{"$set": sets}]))


def is_edited_by_client(number: int) -> bool:
    """Whether it is one of the client's fifth."""
    return number % 5 == 0


def is_edited_in_tracos(number: int) -> bool:
    """Whether it is one of TracOS's fifth."""
    return abs(number) % 5 == 1


def title_of(number: int, *, edited: bool) -> str:
    """What the order is called on both sides in the end."""
    if edited and is_edited_by_client(number):
        return f"client {number}"
    return f"tracos {number}" if edited and is_edited_in_tracos(number) else f"Order {number}"


def told(count: int, *, edited: bool) -> dict[str, str]:
    """What the client was told last, by file."""
    numbers = [number for number in range(-count, count) if number < 0 or (edited and is_told_again(number))]
    return {f"{number}.json": title_of(number, edited=edited) for number in numbers}


def is_told_again(number: int) -> bool:
    """Whether an edit is told to the client: one in TracOS, and its own of what it was never seen to have taken."""
    return is_edited_in_tracos(number) or (number < 0 and is_edited_by_client(number))


def doom(orders) -> None:
    """Edit, make and remove orders, waiting for nobody."""
    some = [one["_id"] for one in orders.find({}, {"_id": 1}).limit(60)]
    orders.update_many({"_id": {"$in": some[:50]}}, {"$set": {"title": DOOMED, "isSynced": False}})
    orders.delete_many({"_id": {"$in": some[50:]}})
    orders.insert_many(
        [{"number": 10**9 + one, "title": DOOMED, "status": "created", "createdAt": CREATED} for one in range(10)]
    )


def is_doomed(text: str) -> bool:
    """Whether a text has what was taken back."""
    return re.search(rf"{DOOMED}|\b10000000\d\d\b", text) is not None


def _insert(orders, born):
    """Those that are not there from an attempt before: each has its ``_id`` since then."""
    try:
        orders.insert_many(born, ordered=False)
    except BulkWriteError as error:
        if {one["code"] for one in error.details["writeErrors"]} != {TWIN} or error.details["writeConcernErrors"]:
            raise


def _record(number, title):
    return {"id": number, "status": "NEW", "title": title, "createdAt": CREATED}


def _put(plant, name, records):
    """Half of them in a file each, the others in files of many."""
    plant.inbound.mkdir(parents=True, exist_ok=True)
    half = len(records) // 2
    files = {f"{name}{record['id']}.json": msgspec.json.encode(record) for record in records[:half]}
    for at in range(half, len(records), LINES):
        files[f"{name}-{at}.ndjson"] = msgspec.json.Encoder().encode_lines(records[at : at + LINES])
    plant.clock += 1
    for file, data in files.items():
        path = plant.inbound / file
        path.write_bytes(data)
        os.utime(path, (plant.clock, plant.clock))
