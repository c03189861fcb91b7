"""A connection for dry runs: every write is kept in memory, where it is read back from; MongoDB is only read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.orders.workorder import ExternalId, id_key
from pipeline.tracos.connection import TOO_LARGE, Connection, Written
from pipeline.tracos.found import Found, Groups, key_of
from pipeline.tracos.indexes import refuse_twins
from pipeline.tracos.operations import UNFIT, Operation
from pipeline.tracos.verdicts import Refusal

__all__ = ["DryConnection"]


class DryConnection(Connection):
    """Reads as if its writes had been made. Guards are taken as met: nobody edits in between."""

    _written: dict[bytes, Found]
    """By their keys, the documents as they would be."""
    _numbers: dict[ExternalId, dict[bytes, None]]
    """Their keys, by the orders that they are found for."""
    _links: dict[ExternalId, dict[bytes, None]]
    """The same by the client's ids of them."""

    async def open(self) -> None:
        """Begin with nothing written."""
        self._written, self._numbers, self._links = {}, {}, {}
        await super().open()

    async def prepare(self) -> None:
        """Refuse twins; nothing is made."""
        self._validator = await refuse_twins(self.collection)

    async def find_numbers(self, numbers: Sequence[ExternalId], *, confirmed: bool = True) -> list[Found]:
        """The documents with these numbers, as they would be."""
        written = self._kept((self._numbers, numbers))
        return written + self._untouched(await super().find_numbers(numbers, confirmed=confirmed))

    async def find_linked(
        self, ids: Sequence[ExternalId], numbers: Sequence[ExternalId], *, confirmed: bool = True
    ) -> list[Found]:
        """The documents that the client calls so, and those with these numbers, as they would be."""
        written = self._kept((self._links, ids), (self._numbers, numbers))
        return written + self._untouched(await super().find_linked(ids, numbers, confirmed=confirmed))

    async def find_ids(self, ids: Sequence[Any], *, confirmed: bool = True) -> list[Found]:
        """The documents with these ids, as they would be."""
        written = [self._written[key] for key in map(key_of, ids) if key in self._written]
        return written + self._untouched(await super().find_ids(ids, confirmed=confirmed))

    def find_unsynced(self, group: int, numbers: Sequence[ExternalId] | None = None) -> Groups:
        """Those that would be unsynced."""
        return _Both(super().find_unsynced(group, numbers), self._written)

    async def write(self, operations: Sequence[Operation]) -> Written:
        """Keep the writes."""
        ids = [operation.guard["_id"] for operation in operations if operation.verb == "update"]
        before = {found.key: found.readable for found in await self.find_ids(ids)}
        refusals: dict[int, Refusal] = {}
        for position, operation in enumerate(operations):
            document = operation.values
            if operation.verb == "update":
                document = {**before[key_of(operation.guard["_id"])], **document}
            try:
                self._keep(Found.of(document))
            except UNFIT:
                refusals[position] = Refusal(TOO_LARGE)
        return Written(len(ids) - len(refusals), refusals)

    def _keep(self, found: Found) -> None:
        self._written[found.key] = found
        for number in found.numbers:
            self._numbers.setdefault(number, {})[found.key] = None
        if found.linked_to is not None:
            self._links.setdefault(found.linked_to, {})[found.key] = None

    def _kept(self, *wanted: tuple[Mapping[ExternalId, Mapping[bytes, None]], Sequence[ExternalId]]) -> list[Found]:
        keys = dict.fromkeys(key for index, ids in wanted for one in ids for key in index.get(id_key(one), ()))
        return [self._written[key] for key in keys]

    def _untouched(self, found: Iterable[Found]) -> list[Found]:
        return [one for one in found if one.key not in self._written]


class _Both:
    """What MongoDB holds and nothing was written of, then what was written."""

    def __init__(self, stored: Groups, written: Mapping[bytes, Found]) -> None:
        self._stored = stored
        self._written = written
        self._is_at_end = False

    async def following(self) -> list[Found]:
        """The next group; empty at the end."""
        while not self._is_at_end:
            group = await self._stored.following()
            untouched = [found for found in group if found.key not in self._written]
            if untouched:
                return untouched
            if not group:
                self._is_at_end = True
                return [found for found in self._written.values() if found.readable.get("isSynced") is not True]
        return []

    async def close(self) -> None:
        """Give back what the server holds."""
        await self._stored.close()
