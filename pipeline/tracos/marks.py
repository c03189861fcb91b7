"""Marks: what a document is told of its hand-over to the client, under a guard."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.errors import Reason, Rejected
from pipeline.orders.memory import SyncState, handed_over
from pipeline.orders.merge import Current, Lost
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import NOTHING, ExternalId, Record
from pipeline.tracos.connection import ATTEMPTS, Connection
from pipeline.tracos.document import changes, guard, guard_rev, read_document, stored, synced_fields
from pipeline.tracos.found import Found, see_confirmed
from pipeline.tracos.operations import Operation

__all__ = ["HandOver", "Marker", "Note", "understood"]


class HandOver(Struct, frozen=True, gc=False):
    """One order that was handed to the client."""

    locator: Locator
    found: Found
    record: Record
    current: Current
    """What its document said then."""
    lost: tuple[Lost, ...] = ()
    """Values of the document that gave way, and were not handed over."""
    given: ExternalId | None = None
    """The id under which the client keeps it since, where it has told us."""


class Note(Struct, frozen=True, gc=False):
    """One document, and its part of ours that tells of a hand-over ahead."""

    found: Found
    sync: Mapping[str, Any]
    """As it is stored."""

    def as_written(self) -> Found:
        """The document with that part."""
        return Found(self.found.raw, {**self.found.readable, "sync": self.sync})


def understood(found: Found, terms: Terms) -> Current:
    """What a document says; raises Rejected, with all reasons, where it cannot be understood."""
    if found.document is None:
        raise Rejected(*found.reasons)
    return read_document(found.document, terms)


class Marker:
    """Marks documents as synced, as far as they still say what was handed over."""

    def __init__(self, connection: Connection, terms: Terms) -> None:
        self._connection = connection
        self._terms = terms

    async def note(self, notes: Sequence[Note], at: datetime) -> tuple[set[bytes], Mapping[bytes, Reason]]:
        """Write what documents are to say, since ``at``, of hand-overs ahead; the keys of those that do, and why not.

        Guarded by our own part alone: whatever people make of an order meanwhile, this is what is handed over.
        """
        if not notes:
            return set(), {}
        return await self._connection.ride_out(lambda: self._note(notes, at))

    async def _note(self, notes: Sequence[Note], at: datetime) -> tuple[set[bytes], Mapping[bytes, Reason]]:
        """One attempt; raises WTimeoutError where no majority has yet what an earlier one has written."""
        operations = [Operation.update(guard_rev(one.found.readable), {"sync": one.sync}) for one in notes]
        written = await self._connection.write(operations)
        refused = {notes[position].found.key: refusal.reason for position, refusal in written.refusals.items()}
        keys = {one.found.key for one in notes} - refused.keys()
        if written.matched < len(keys):
            after = await self._connection.find_ids([one.found.readable["_id"] for one in notes])
            before = {one.found.key: one.found.raw for one in notes}
            settled = {found.key for found in after if found.key in keys and self._is_settled(found, at)}
            unmoved = [found for found in after if found.key in keys - settled and found.raw == before[found.key]]
            if unmoved:
                ids = [one.readable["_id"] for one in unmoved]
                see_confirmed(unmoved, await self._connection.find_ids(ids, confirmed=False))
            keys = settled
        return keys, refused

    def operation(self, one: HandOver, at: datetime) -> Operation:
        """The mark of what was sent at ``at``."""
        return Operation.update(guard(one.found.readable, self._terms.fields), self.fields(one, at))

    async def mark(self, sent: Sequence[HandOver], marks: Sequence[Operation], at: datetime) -> None:
        """Mark what was sent at ``at``; where somebody has edited an order since, record the hand-over alone."""
        await self._connection.ride_out(lambda: self._write(sent, marks, at))

    async def link(self, known: Sequence[tuple[Found, ExternalId]]) -> None:
        """Keep under which ids the client has these orders; one that changes meanwhile is linked by the next run."""
        links: list[Operation] = []
        for found, given in known:
            sync = understood(found, self._terms).sync
            if sync is not None and sync.id is None:
                after = replace(sync, id=given, rev=sync.rev + 1)  # that it was told stays to be known: see confirm
                links.append(Operation.update(guard_rev(found.readable), {"sync": stored(after)}))
        if links:
            written = await self._connection.ride_out(lambda: self._connection.write(links))
            for refusal in written.refusals.values():
                logger.warning("an order is known by the client's id now, which cannot be kept: {}", refusal.reason)

    def fields(self, one: HandOver, at: datetime) -> dict[str, object]:
        """What a mark sets: with it, what gave way to the client's values is replaced by them."""
        document = one.found.readable
        gave_way = changes(document, one.current.order, one.record.order) if one.lost else {}
        return gave_way | synced_fields(document, self._after(one, one.current.sync, at), at, is_synced=True)

    def _after(self, one: HandOver, sync: SyncState | None, at: datetime) -> SyncState:
        return handed_over(sync, one.record, client=self._terms.client, at=at, given=one.given)

    async def _write(self, sent: Sequence[HandOver], marks: Sequence[Operation], at: datetime) -> None:
        written = await self._connection.write(marks)
        for position, refusal in written.refusals.items():
            logger.warning(
                "{} was sent, but cannot be marked, so that every run sends it again: {}",
                sent[position].locator,
                refusal.reason,
            )
        late = [one for position, one in enumerate(sent) if position not in written.refusals]
        if written.matched < len(late):
            await self._record(late, at)

    async def delete(self, gone: Sequence[tuple[Found, Current]], at: datetime) -> set[bytes]:
        """Mark these orders as deleted, as far as they still say what was read; the client is not told of it.

        Returns the keys of those that are deleted now.
        """
        operations = []
        for found, current in gone:
            document, order = found.readable, replace(current.order, deleted=True, deleted_at=None)
            sets = changes(document, current.order, order)
            if current.sync is not None:
                base = replace(current.sync.base or NOTHING, deleted=True, deleted_at=None)
                sync = replace(current.sync, base=base, sent=(), rev=current.sync.rev + 1)
                sets |= synced_fields(document, sync, at, is_synced=True)
            operations.append(Operation.update(guard(document, self._terms.fields), sets))
        await self._connection.ride_out(lambda: self._connection.write(operations))
        ids = [found.readable["_id"] for found, _ in gone]
        after = await self._connection.ride_out(lambda: self._connection.find_ids(ids))
        return {found.key for found in after if found.readable.get("deleted") is True}

    async def _record(self, late: Sequence[HandOver], at: datetime) -> None:
        """Record the hand-overs alone; what is marked shows its own already."""
        sent = {one.found.key: one for one in late}
        ids = [one.found.readable["_id"] for one in late]
        compared = {key: one.found.raw for key, one in sent.items()}
        for _ in range(ATTEMPTS):
            left = [found for found in await self._connection.find_ids(ids) if not self._is_settled(found, at)]
            if not left:
                return
            unmoved = [found for found in left if found.raw == compared[found.key]]
            if unmoved:
                latest = await self._connection.find_ids([one.readable["_id"] for one in unmoved], confirmed=False)
                see_confirmed(unmoved, latest)
            compared |= {found.key: found.raw for found in left}
            await self._connection.write([self._alone(found, sent[found.key], at) for found in left])
        logger.warning("orders are being edited in TracOS time and again; the next run sends them once more")

    def _alone(self, found: Found, one: HandOver, at: datetime) -> Operation:
        """The hand-over alone; a document that somebody else has marked meanwhile may be newer than what we told last.

        So it is to be told again.
        """
        sync = understood(found, self._terms).sync
        told_again = {"isSynced": False} if found.readable.get("isSynced") is True else {}
        return Operation.update(guard_rev(found.readable), {"sync": stored(self._after(one, sync, at)), **told_again})

    def _is_settled(self, found: Found, at: datetime) -> bool:
        """Whether the hand-over at ``at`` needs no record any more, because it has one or cannot have one."""
        try:
            sync = understood(found, self._terms).sync
        except Rejected:
            return True
        return sync is not None and any(one.at == at for one in sync.sent)
