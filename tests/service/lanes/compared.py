"""Runs whose outcome is compared: what goes into them, and all that they leave behind."""

import contextlib
import json
import random
import re
from pathlib import Path

import msgspec

STATUSES = ["NEW", "PENDING", "IN_PROGRESS", "DONE", "UNHEARD OF"]
OURS = ("_id", "syncedAt")
"""Of documents: what is another each time."""


def record(chance, orders):
    """One that may be of an order that there are others of, and may be wrong."""
    number = chance.randrange(orders)
    at = f"2026-10-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:00:00Z"
    one = {
        "id": number if chance.random() < 0.95 else str(number),
        "status": chance.choice(STATUSES),
        "title": f"Pump {chance.randint(0, 9)}",
        "createdAt": "2026-10-01",
    }
    if chance.random() < 0.8:
        one["updatedAt"] = at
    if chance.random() < 0.1:
        one["deletedAt"] = at
    if chance.random() < 0.03:
        del one[chance.choice(list(one))]
    return msgspec.json.encode(one) if chance.random() > 0.02 else b"{"


def fill(plant, seed, records=400, orders=60):
    """A folder of files of lines and of single orders, many records an order."""
    plant.environ["SYNC_MAX_DELETES"] = str(max(1000, records))
    chance = random.Random(seed)
    left = [record(chance, orders) for _ in range(records)]
    while left:
        count = chance.choice([1, 1, 1, 7, 60])
        some, left = left[:count], left[count:]
        if count == 1:
            plant.put(f"{len(left):05}.json", some[0])
        else:
            plant.put(f"{len(left):05}.ndjson", b"\n".join(some))


def documents(plant):
    """What they say: that an order is deleted no more is nothing where it never was, null where it was once."""
    found = []
    for one in plant.orders.find({}, dict.fromkeys(OURS, 0)).sort("number"):
        sync = one.get("sync", {})
        for sent in sync.get("sent", ()):
            del sent["at"]
        for field in ("key", "at"):
            sync.get("intent", {}).pop(field, None)
        found.append({field: value for field, value in one.items() if value is not None})
    return found


def decisions(plant):
    lines = (plant.home / "data/decisions.jsonl").read_text().splitlines()
    entries = [{k: v for k, v in json.loads(line).items() if k not in {"at", "run"}} for line in lines]
    return sorted(re.sub("@[0-9a-f]{24}", "@_id", json.dumps(entry, sort_keys=True)) for entry in entries)


def letters(plant):
    return {str(locator): (letter.stage, letter.reasons, letter.raw) for locator, letter in plant.letters().items()}


def counts(out):
    return {flow["flow"]: {k: v for k, v in flow.items() if k != "sink"} for flow in json.loads(out)["flows"]}


def everything(plant, out):
    record = json.loads(out)
    told = {name: record.get(name) for name in ("rules", "gave_way", "drift", "exit", "ending")}
    return documents(plant), letters(plant), decisions(plant), counts(out), told


def clear(plant):
    """As before the first run; the inbound folder stays."""
    plant.client.drop_database(plant.orders.database.name)
    for path in sorted((plant.home / "data").rglob("*"), reverse=True):
        if plant.inbound not in (path, *path.parents):
            path.rmdir() if path.is_dir() else path.unlink()


def lanes_of(run):
    """The processes that are lanes of ``run``."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == run and b"\0lane\0" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
    return found
