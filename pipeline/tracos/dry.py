"""A connection for dry runs: every write is kept in memory, where it is read back from; MongoDB is only read."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from bson import ObjectId

from pipeline.orders.workorder import ExternalId
from pipeline.tracos.connection import Connection, Cursor, Operation, Written
from pipeline.tracos.indexes import refuse_twins

__all__ = ["DryConnection"]

Documents = list[dict[str, Any]]


class DryConnection(Connection):
    """Reads as if its writes had been made. Guards are taken as met: nobody edits in between."""

    _written: dict[Any, dict[str, Any]]
    """By ``_id``, the documents as they would be."""
    _numbers: dict[ExternalId, Any]
    """Their ``_id`` s, by number."""

    async def open(self) -> None:
        """Begin with nothing written."""
        self._written, self._numbers = {}, {}
        await super().open()

    async def prepare(self) -> None:
        """Refuse twins; nothing is made."""
        await refuse_twins(self.collection)

    async def with_numbers(self, numbers: Sequence[ExternalId]) -> Documents:
        """The documents with these numbers, as they would be."""
        written = [self._written[self._numbers[number]] for number in numbers if number in self._numbers]
        return written + self._untouched(await super().with_numbers(numbers))

    async def with_ids(self, ids: Sequence[Any]) -> Documents:
        """The documents with these ids, as they would be."""
        written = [self._written[one] for one in ids if one in self._written]
        return written + self._untouched(await super().with_ids(ids))

    def unsynced(self, group: int, numbers: Sequence[ExternalId] | None = None) -> Cursor:
        """Those that would be unsynced."""
        return _Both(super().unsynced(group, numbers), self._written)

    async def write(self, operations: Sequence[Operation]) -> Written:
        """Keep the writes."""
        updates = [operation.statement for operation in operations if operation.verb == "update"]
        before = {document["_id"]: document for document in await self.with_ids([one["q"]["_id"] for one in updates])}
        for operation in operations:
            if operation.verb == "insert":
                self._keep({"_id": ObjectId(), **operation.statement})
        for statement in updates:
            self._keep({**before[statement["q"]["_id"]], **statement["u"]["$set"]})
        return Written(len(updates), {})

    def _keep(self, document: dict[str, Any]) -> None:
        self._written[document["_id"]] = document
        if "number" in document:
            self._numbers[document["number"]] = document["_id"]

    def _untouched(self, documents: Documents) -> Documents:
        return [document for document in documents if document["_id"] not in self._written]


class _Both:
    """What MongoDB holds and nothing was written of, then what was written."""

    def __init__(self, stored: Cursor, written: Mapping[Any, dict[str, Any]]) -> None:
        self._stored = stored
        self._written = written
        self._rest: Iterator[dict[str, Any]] | None = None

    async def to_list(self, length: int, /) -> Documents:
        """At most ``length`` documents more; none at the end."""
        while self._rest is None:
            documents = await self._stored.to_list(length)
            untouched = [document for document in documents if document["_id"] not in self._written]
            if untouched:
                return untouched
            if not documents:
                self._rest = iter([one for one in self._written.values() if one.get("isSynced") is not True])
        return list(islice(self._rest, length))

    async def close(self) -> None:
        """Give back what the server holds."""
        await self._stored.close()
