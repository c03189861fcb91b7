"""The lease of a history: the program's own, on a document in memory that is changed as MongoDB would change it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from bson import Int64

from pipeline.tracos.lease import Lease
from tests.simulation.ports import Ports
from tests.simulation.words import Wrong

SECONDS = 30
"""For how long a lease is had."""
PORT = "tracos.lease"
MISSING = object()


class Watched(Lease):
    """The lease of one run; whoever is told that it is still his is told so truly."""

    async def confirm(self) -> None:
        await super().confirm()
        leases = self._leases
        if leases.holder != self._token:
            raise Wrong(f"a run goes on whose lease somebody else has (fence {self.fence})")


class Leases:
    """The collection beside the orders, as one run reaches it."""

    def __init__(self, documents: dict[str, dict[str, Any]], ports: Ports) -> None:
        self._documents, self._ports = documents, ports

    @property
    def holder(self) -> str | None:
        """Who took it last."""
        return self._documents.get("lease", {}).get("token")

    async def find_one(self, query: Mapping[str, Any]) -> dict[str, Any] | None:
        async with self._ports.using(PORT):
            return self._found(query)

    async def find_one_and_update(self, query, stages, *, upsert, return_document) -> dict[str, Any]:
        async with self._ports.using(PORT):
            return self._change(query, stages, upsert=upsert)

    async def update_one(self, query, stages) -> SimpleNamespace:
        async with self._ports.using(PORT):
            return SimpleNamespace(matched_count=int(self._change(query, stages) is not None))

    def _found(self, query: Mapping[str, Any]) -> dict[str, Any] | None:
        found = self._documents.get(query["_id"])
        is_meant = found is not None and all(found.get(key) == value for key, value in query.items())
        return dict(found) if found is not None and is_meant else None

    def _change(self, query: Mapping[str, Any], stages: Sequence[Mapping[str, Any]], *, upsert: bool = False) -> Any:
        document = self._found(query)
        if document is None and not upsert:
            return None
        document = document or {"_id": query["_id"]}
        for stage in stages:
            ((name, said),) = stage.items()
            if name == "$unset":
                document.pop(said, None)
            else:
                values = {field: value(one, document, self._ports.moment) for field, one in said.items()}
                document |= {field: one for field, one in values.items() if one is not MISSING}
        self._documents[query["_id"]] = document
        return dict(document)


def orders(documents: dict[str, dict[str, Any]], ports: Ports) -> SimpleNamespace:
    """The collection of the orders, as far as a lease asks it for the one beside it."""
    leases = Leases(documents, ports)
    return SimpleNamespace(name="orders", database=SimpleNamespace(get_collection=lambda name, **concern: leases))


def value(said: Any, document: Mapping[str, Any], now: datetime) -> Any:
    """What an expression of MongoDB comes to, of those that a lease uses."""
    if isinstance(said, str):
        return now if said == "$$NOW" else document.get(said[1:], MISSING) if said.startswith("$") else said
    if isinstance(said, list):
        return [value(one, document, now) for one in said]
    if not isinstance(said, Mapping):
        return said
    ((name, given),) = said.items()
    if name == "$literal":
        return given
    if name == "$convert":
        given = {key: value(one, document, now) for key, one in given.items()}
        return _converted(given["input"], given)
    return OPERATORS[name](value(given, document, now))


def _converted(one: Any, given: Mapping[str, Any]) -> Any:
    if one is MISSING or one is None:
        return given["onNull"]
    return Int64(one) if isinstance(one, int | float) else given["onError"]


def _type(one: Any) -> str:
    return "date" if isinstance(one, datetime) else "missing" if one is MISSING else type(one).__name__


def _sum(one: Any, more: Any) -> Any:
    return one + timedelta(milliseconds=more) if isinstance(one, datetime) else Int64(one + more)


def _is_earlier(one: Any, other: Any) -> bool:
    return isinstance(one, datetime) and isinstance(other, datetime) and one <= other


OPERATORS: dict[str, Callable[[Any], Any]] = {
    "$type": _type,
    "$cond": lambda given: given[1] if given[0] else given[2],
    "$or": lambda given: any(one is not MISSING and bool(one) for one in given),
    "$ne": lambda given: given[0] != given[1],
    "$in": lambda given: given[0] in given[1],
    "$lte": lambda given: _is_earlier(*given),
    "$add": lambda given: _sum(*given),
}
