"""Both sides compared: a client's records beside their documents, all documents one by one, and unmarked edits."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from loguru import logger
from pymongo.errors import PyMongoError

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import BatchResult, Envelope, Fate, Outcome, Unreadable
from pipeline.dataflow.ports import BatchSink, Source
from pipeline.errors import Reason, Rejected
from pipeline.orders.compare import Alone, Seen, compare, look_at
from pipeline.orders.merge import Current
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId, Record, id_key
from pipeline.tracos.batch import Documents
from pipeline.tracos.clock import now
from pipeline.tracos.connection import ATTEMPTS, Connection
from pipeline.tracos.document import guard, original
from pipeline.tracos.found import Found, Groups
from pipeline.tracos.limits import fault_of
from pipeline.tracos.marks import understood
from pipeline.tracos.matching import current_of
from pipeline.tracos.operations import Operation
from pipeline.tracos.sink import look_up
from pipeline.tracos.source import locator_of

__all__ = ["AllDocuments", "RecordComparer", "unmark"]

GROUP: Final = 1000


class RecordComparer(BatchSink[Record]):
    """Compares records with the documents that a run would merge them into; ``take`` is told what they show.

    What a run would find no document for, because it makes a dead letter of the record, is one here too.
    """

    def __init__(self, connection: Connection, terms: Terms, take: Callable[[Sequence[Seen]], None]) -> None:
        self._connection = connection
        self._terms = terms
        self._take = take

    @property
    def title(self) -> str:
        """Our system."""
        return "TracOS"

    async def write_batch(self, items: Sequence[Envelope[Record]]) -> BatchResult:
        """Compare a batch; nothing is written."""
        at, records = now(), dict[ExternalId, list[Record]]()
        outcomes: dict[int, Outcome | Exception] = {}
        for position, item in enumerate(items):
            if fault := fault_of(item.payload, at):
                outcomes[position] = Rejected(fault)
            else:
                records.setdefault(id_key(item.payload.external_id), []).append(item.payload)
        found: Documents = {}
        if records:
            found = await self._connection.ride_out(lambda: look_up(self._connection, self._terms, records))
        seen: list[Seen] = []
        for position, item in enumerate(items):
            if position not in outcomes:
                try:
                    outcomes[position] = self._compare(item, found, seen)
                except Rejected as error:
                    outcomes[position] = error
        self._take(seen)
        return BatchResult([outcomes[position] for position in range(len(items))])

    def _compare(self, item: Envelope[Record], found: Documents, seen: list[Seen]) -> Outcome:
        record, terms = item.payload, self._terms
        key = id_key(record.external_id)
        documents = found.get(key, ())
        current = current_of(terms, key, documents)
        is_synced = bool(documents) and _is_marked(documents[0])
        one = compare(record, str(item.locator), current, is_synced=is_synced, terms=terms, arrival=item.arrival)
        if one is not None:
            seen.append(one)
        return Outcome.STALE if one is None else Outcome.UNCHANGED


class AllDocuments(Source[Found]):
    """Yields all documents, whatever their ``_id`` s are, and writes nothing.

    After an outage it goes on with the document that it has given last, which comes again.
    """

    def __init__(self, connection: Connection, terms: Terms) -> None:
        self._connection = connection
        self._terms = terms

    @property
    def title(self) -> str:
        """Our system."""
        return "TracOS"

    def look_at(self, found: Found) -> Alone:
        """What a document comes to by itself; raises Rejected, with all reasons, where it cannot be understood."""
        current = _comparable(found, self._terms)
        return look_at(current, is_synced=_is_marked(found), terms=self._terms)

    async def read(self) -> AsyncIterator[Sequence[Envelope[Found] | Unreadable]]:
        """Yield the documents in groups of at most 1,000, or of 8 MB."""
        async for group in _all(self._connection):
            yield [Envelope(found, locator_of(found), original(found.readable, self._terms.fields)) for found in group]

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """Nothing is remembered of any."""


async def unmark(connection: Connection, terms: Terms) -> int:
    """Mark each document that was edited, and is still marked as synced, as not synced; returns how many.

    Guarded like every write: who edits in between is looked at again.
    """
    done = 0
    async for group in _all(connection):
        left = [found for found in group if _is_unmarked(found, terms)]
        done += len(left)
        for _ in range(ATTEMPTS):
            if not left:
                break
            left = await connection.ride_out(partial(_unmark, connection, terms, left))
        for found in left:
            logger.warning("order {} cannot be marked as not synced: it stays as it is", locator_of(found))
        done -= len(left)
    return done


async def _unmark(connection: Connection, terms: Terms, left: Sequence[Found]) -> list[Found]:
    """Those that are unmarked still, once these were written."""
    await connection.write([_unmarking(found, terms) for found in left])
    again = await connection.find_ids([found.readable["_id"] for found in left])
    return [found for found in again if _is_unmarked(found, terms)]


def _unmarking(found: Found, terms: Terms) -> Operation:
    sync = understood(found, terms).sync
    sets: dict[str, Any] = {"isSynced": False}
    if sync is not None:
        sets["sync.rev"] = sync.rev + 1
    return Operation.update(guard(found.readable, terms.fields), sets)


def _is_unmarked(found: Found, terms: Terms) -> bool:
    if not _is_marked(found):
        return False
    try:
        return bool(look_at(_comparable(found, terms), is_synced=True, terms=terms).gaps)
    except Rejected:
        return False


def _is_marked(found: Found) -> bool:
    return found.readable.get("isSynced") is True


def _comparable(found: Found, terms: Terms) -> Current:
    """What a document says; raises Rejected where it cannot be understood, or be said in any layout of the client's."""
    current = understood(found, terms)
    if current.sync is not None and current.sync.layout not in terms.projections:
        known = ", ".join(terms.projections)
        raise Rejected(Reason(f"the client has no layout of this name; it has: {known}", "$.sync.layout"))
    return current


async def _all(connection: Connection) -> AsyncIterator[Sequence[Found]]:
    """All documents in groups; after an outage from the last one on, which comes again."""
    groups: Groups | None = None
    start: Sequence[Any] = ()

    async def following() -> Sequence[Found]:
        nonlocal groups
        if groups is None:
            groups = connection.find_all(GROUP, start=start)
        try:
            return await groups.following()
        except PyMongoError:
            groups = None
            raise

    try:
        while group := await connection.ride_out(following):
            yield group
            whole = [found.readable["_id"] for found in group if found.document is not None]
            start = whole[-1:] or start
    finally:
        if groups is not None:
            await groups.close()
