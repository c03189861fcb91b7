"""TracOS in memory: what our code relies on of MongoDB, and nothing else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import bson
from pymongo.errors import AutoReconnect

from pipeline.orders.workorder import id_key
from pipeline.tracos.connection import Connection
from pipeline.tracos.found import CODEC, key_of, read_batch
from pipeline.tracos.verdicts import Refusal
from tests.simulation.leases import orders
from tests.simulation.ports import Ports

UNIQUE = ("number", "sync.id")


class Documents:
    """A collection in memory: documents by their keys, in the order in which they came."""

    def __init__(self) -> None:
        self._kept: dict[bytes, dict[str, Any]] = {}
        self._confirmed: dict[bytes, dict[str, Any]] | None = None
        """What a majority has, where that is not what the primary has; it will win."""
        self.leases: dict[str, dict[str, Any]] = {}
        """What is beside the orders; nobody restores it."""

    def copy(self) -> Mapping[bytes, Mapping[str, Any]]:
        """All of it, to be restored."""
        self._fail_over()
        return {key: bson.decode(bson.encode(one), CODEC) for key, one in self._kept.items()}

    def restore(self, copy: Mapping[bytes, Mapping[str, Any]]) -> None:
        """All is as it was."""
        self._confirmed = None
        self._kept = {key: bson.decode(bson.encode(one), CODEC) for key, one in copy.items()}

    def roll_back(self, copy: Mapping[bytes, Mapping[str, Any]]) -> None:
        """What was written since then only the primary has: it fails before the next write, and it is gone."""
        self._confirmed = {key: dict(one) for key, one in copy.items()}

    def remove(self, document_id: Any) -> None:
        """As a person who removes a document for good."""
        self._fail_over()
        self._kept.pop(key_of(document_id), None)

    def _fail_over(self) -> None:
        if self._confirmed is not None:
            self._kept, self._confirmed = self._confirmed, None

    def all(self) -> list[dict[str, Any]]:
        """All documents."""
        self._fail_over()
        return [bson.decode(bson.encode(one), CODEC) for one in self._kept.values()]

    def put(self, document: Mapping[str, Any]) -> None:
        """As a person who replaces a document, or makes one."""
        self._fail_over()
        document = bson.decode(bson.encode(document), CODEC)
        self._kept[key_of(document["_id"])] = document

    def insert(self, document: dict[str, Any]) -> dict[str, Any] | None:
        """Insert; what the server says where it does not."""
        self._fail_over()
        error = self._taken(document, None)
        if error is None:
            self._kept[key_of(document["_id"])] = document
        return error

    def update(self, q: Mapping[str, Any], sets: Mapping[str, Any]) -> tuple[int, dict[str, Any] | None]:
        """Set fields of the first document that is as ``q`` says: how many did, and what the server says."""
        self._fail_over()
        wanted = q.get("_id")
        keys = [key_of(wanted)] if wanted is not None else list(self._kept)
        for key in keys:
            before = self._kept.get(key)
            if before is None or not matches(before, q):
                continue
            after = bson.decode(bson.encode(before), CODEC)
            for path, value in sets.items():
                *way, last = path.split(".")
                inner = after
                for step in way:
                    inner = inner.setdefault(step, {})
                inner[last] = value
            if error := self._taken(after, key):
                return 0, error
            self._kept[key] = after
            return 1, None
        return 0, None

    def find(self, query: Mapping[str, Any], fields: Sequence[str], *, confirmed: bool = True) -> list[bytes]:
        """The documents that are as ``query`` says, with these fields; ``confirmed``: as a majority has them."""
        kept = self._confirmed if confirmed and self._confirmed is not None else self._kept
        return [
            bson.encode({"_id": one["_id"], **{field: one[field] for field in one if field in fields}})
            for one in sorted(kept.values(), key=_unsynced_first)
            if matches(one, query)
        ]

    def _taken(self, document: Mapping[str, Any], key: bytes | None) -> dict[str, Any] | None:
        for path in UNIQUE:
            value = _at(document, path)
            if not value or value[0] is None:
                continue
            for other, one in self._kept.items():
                if other != key and (there := _at(one, path)) and _same(there[0], value[0]):
                    return {
                        "code": 11000,
                        "keyPattern": {path: 1},
                        "errmsg": f"E11000 duplicate key error collection: x index: {path}_1 dup key",
                    }
        return None


def _unsynced_first(document: Mapping[str, Any]) -> tuple[bool, bytes]:
    """The order of the index that the look-up of what is unsynced goes along."""
    return document.get("isSynced") is not None, document["_id"].binary


class SimulatedPorts(Connection):
    """A connection whose every use is a use of the run's ports."""

    ports: Ports

    async def find_numbers(self, numbers, *, confirmed=True):
        async with self.ports.using("tracos.find"):
            return await super().find_numbers(numbers, confirmed=confirmed)

    async def find_linked(self, ids, numbers, *, confirmed=True):
        async with self.ports.using("tracos.find"):
            return await super().find_linked(ids, numbers, confirmed=confirmed)

    async def find_ids(self, ids, *, confirmed=True):
        async with self.ports.using("tracos.find"):
            return await super().find_ids(ids, confirmed=confirmed)

    async def count_unsynced(self):
        async with self.ports.using("tracos.find"):
            return await super().count_unsynced()

    def find_unsynced(self, group, numbers=None):
        return _Groups(super().find_unsynced(group, numbers), self.ports)

    async def write(self, operations):
        async with self.ports.using("tracos.write") as faults:
            if "rolled back" in faults:
                before = self._documents.copy()
                await super().write(operations)
                self._documents.roll_back(before)
                raise AutoReconnect("connection closed")
            return await super().write(operations)


class _Groups:
    def __init__(self, groups, ports: Ports) -> None:
        self._groups = groups
        self._ports = ports

    async def following(self):
        async with self._ports.using("tracos.find"):
            return await self._groups.following()

    async def close(self):
        await self._groups.close()


class _InMemory(Connection):
    """A connection to ``Documents``; what is written goes through the real encoding."""

    def __init__(self, documents: Documents) -> None:
        super().__init__("mongodb://memory", "memory", "workorders", 60)
        self._documents = documents

    @property
    def collection(self):
        return orders(self._documents.leases, self.ports)

    async def open(self):
        pass

    async def close(self):
        pass

    async def prepare(self):
        self._validator = None

    async def _find(self, query, *, confirmed, **options):
        return read_batch(b"".join(self._documents.find(query, self._read, confirmed=confirmed)))

    async def raw(self, ids):
        return self._documents.find({"_id": {"$in": ids}}, self._read)

    def find_unsynced(self, group, numbers=None):
        query = {"isSynced": {"$ne": True}}
        if numbers is not None:
            query = {"number": {"$in": numbers}, **query}
        return _Cursor(lambda: self._documents.find(query, self._read), group)

    async def count_unsynced(self):
        return len(self._documents.find({"isSynced": {"$ne": True}}, self._read))

    async def _command(self, verb, statements):
        done, refusals = 0, {}
        for position, encoded in statements.items():
            statement = bson.decode(encoded, CODEC)
            if verb == "insert":
                did = [(1, self._documents.insert(statement))]
            else:
                did = [self._documents.update(q, sets) for q, sets in _updates(statement)]
            done += sum(number for number, _ in did)
            errors = [error for _, error in did if error]
            refusals |= {position: Refusal.of(errors[0])} if errors else {}
        return done, refusals


def _updates(statement: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The updates of a statement, which may be several joined: which document each is of, and what it sets."""
    if not statement.get("multi"):
        yield statement["q"], statement["u"]["$set"]
        return
    now, read = statement["q"]["$expr"]["$eq"]
    (change,) = statement["u"]
    reads, sets = (one["$arrayElemAt"][0]["$literal"] for one in (read, change["$replaceWith"]["$mergeObjects"][1]))
    for one, its_sets in zip(reads, sets, strict=True):
        yield dict(_guarded(said["$ifNull"], value) for said, value in zip(now, one, strict=True)), its_sets


def _guarded(now: Any, value: Any) -> tuple[str, Any]:
    """What a joined statement says of one field, as a filter."""
    name, otherwise = now
    _, null, missing = (one.get("$literal") for one in otherwise["$cond"])
    is_none = {null: {"$eq": None, "$exists": True}, missing: {"$exists": False}}
    return name.removeprefix("$"), is_none.get(value, value) if isinstance(value, bytes) else value


class _Cursor:
    """Asks when it is first read, as a cursor of the driver does."""

    def __init__(self, find: Callable[[], list[bytes]], group: int) -> None:
        self._find, self._group = find, group
        self._raws: list[bytes] | None = None

    async def following(self):
        raws = self._find() if self._raws is None else self._raws
        self._raws = raws[self._group :]
        return read_batch(b"".join(raws[: self._group]))

    async def close(self):
        self._raws = []


class MemoryConnection(SimulatedPorts, _InMemory):
    """A connection of one run to TracOS in memory."""


def matches(document: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    """Whether a document is as a query says, as far as our code asks."""
    for path, wanted in query.items():
        if path == "$or":
            if not any(matches(document, one) for one in wanted):
                return False
            continue
        found = _at(document, path)
        conditions = wanted if _is_operators(wanted) else {"$eq": wanted}
        if not all(_holds(found, name, value) for name, value in conditions.items()):
            return False
    return True


def _is_operators(wanted: Any) -> bool:
    return isinstance(wanted, Mapping) and any(name.startswith("$") for name in wanted)


def _holds(found: tuple[Any, ...], name: str, wanted: Any) -> bool:
    value = found[0] if found else None
    match name:
        case "$exists":
            return bool(found) is wanted
        case "$eq":
            return _same(value, wanted)
        case "$ne":
            return not _same(value, wanted)
        case "$in":
            return any(_same(value, one) for one in wanted)
        case "$type":
            return isinstance(value, int | float | str) and not isinstance(value, bool)
    raise NotImplementedError(name)


def _same(one: Any, other: Any) -> bool:
    """As MongoDB compares: a flag is no number, a text no number, documents by their fields in order."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one == other
    return (type(one) is type(other) and one == other) or (_is_number(one) and _is_number(other) and one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _at(document: Mapping[str, Any], path: str) -> tuple[Any, ...]:
    inner: Any = document
    for step in path.split("."):
        if not isinstance(inner, Mapping) or step not in inner:
            return ()
        inner = inner[step]
    return (inner,)


__all__ = ["Documents", "MemoryConnection", "SimulatedPorts", "id_key", "matches"]
