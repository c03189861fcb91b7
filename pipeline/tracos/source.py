"""The outbound end: orders that the client has not been told of, and their marks once it has."""

import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Container, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import msgspec
from bson import ObjectId
from loguru import logger
from msgspec import Struct
from pymongo.errors import PyMongoError

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Fate, Unreadable
from pipeline.dataflow.ports import Progress, Source
from pipeline.errors import Reason, Rejected
from pipeline.history.decisions import ABSENT, SENT, Change, Decisions, Entry, changed
from pipeline.orders.memory import noted
from pipeline.orders.merge import Current, Lost, yielding
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId, Record
from pipeline.tracos.clock import now
from pipeline.tracos.connection import Connection
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.document import original, stored, to_record
from pipeline.tracos.found import Found, Groups
from pipeline.tracos.intents import Intents
from pipeline.tracos.marks import HandOver, Marker, Note, understood
from pipeline.tracos.operations import Operation
from pipeline.tracos.story import tell_lost

__all__ = ["TracosSource", "locator_of"]

GROUP: Final = 1000

_SHOWN: Final = (ObjectId, int, float)
"""Kinds of ids that are shown as they are."""

UNMARKABLE: Final = Reason(
    "the collection's validator would not allow our mark (`sync`, `isSynced`, `syncedAt`), so that every run would "
    "send it again: allow these fields there",
    "$.sync",
)


class _Told(Struct, frozen=True, gc=False):
    """What a document says, and what the client is told of it."""

    current: Current
    record: Record
    lost: tuple[Lost, ...]
    """What gives way to what the client has the say in."""


class TracosSource(Source[Found]):
    """Yields the unsynced documents; an acked one is marked synced if it still says what was read.

    Whoever edits an order while it is being sent keeps the edit, which stays unsynced; that the older values were sent
    is recorded all the same, so that the client's echo of them is recognised.
    """

    in_flight = 2

    def __init__(
        self,
        connection: Connection,
        terms: Terms,
        decisions: Decisions,
        deletes: DeleteBudget,
        numbers: Sequence[ExternalId] | None = None,
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._decisions = decisions
        self._deletes = deletes
        self._numbers = numbers
        self._marker = Marker(connection, terms)
        self._intents = Intents(connection, terms)
        self._is_noting = False
        self._called: dict[Locator, ExternalId] = {}
        self._gone: dict[Locator, None] = {}
        self._shows_all = False
        self._seen = 0
        self._total: int | None = None
        self._unsettled: dict[Locator, Found] = {}
        self._in_hand: dict[bytes, _Told] = {}
        """What is told of unsettled documents, by key, from when they are handed over until they are marked."""

    @property
    def title(self) -> str:
        """Our system."""
        return "TracOS"

    def progress(self) -> Progress:
        """How many of the orders that were unsynced at the beginning have been read."""
        return Progress(self._seen, self._total, "orders")

    def note_ahead(self) -> None:
        """The client takes what it is handed later: so each document says what that is before it is yielded.

        Else a run that is killed between the hand-over and its mark leaves nothing that tells of it, and what the
        client then takes would look like an edit of its own.
        """
        self._is_noting = True

    def to_record(self, found: Found) -> Record:
        """The record to hand over; raises Rejected, with all reasons, for a document that cannot be understood."""
        told = self._in_hand.get(found.key)
        if told is None:
            told = self._told(understood(found, self._terms))
            if locator_of(found) in self._unsettled:
                self._in_hand[found.key] = told
        return told.record

    @property
    def shows_all(self) -> bool:
        """Whether all that is unsynced was given; not known where it was asked for certain orders alone."""
        return self._shows_all

    async def read(self) -> AsyncIterator[Sequence[Envelope[Found] | Unreadable]]:
        """Yield what is unsynced in groups of 1,000, or of 8 MB, along an index that marked documents leave.

        After an outage it starts over: what was marked has left the query, and what is in hand is known.
        """
        groups: Groups | None = None
        left_out = 0

        async def following() -> Sequence[Found]:
            nonlocal groups
            if groups is None:
                groups = self._connection.find_unsynced(GROUP, self._numbers)
            try:
                return await groups.following()
            except PyMongoError:
                groups = None
                raise

        if self._numbers is None:
            self._total = await self._connection.ride_out(self._connection.count_unsynced)
        try:
            while group := await self._connection.ride_out(following):
                fresh = {locator_of(found): found for found in group}
                fresh = {locator: found for locator, found in fresh.items() if locator not in self._unsettled}
                refused: Mapping[bytes, Reason] = {}
                if self._terms.ids == "client":
                    known, refused = await self._intents.made_known(list(fresh.values()))
                    left_out += len(fresh) - len(known)
                    fresh = {locator_of(found): found for found in known}
                await self._deletes.spend(
                    found.readable["number"] for found in fresh.values() if self._tells_deletion(found)
                )
                refused = {**refused, **dict.fromkeys(await self._unmarkable(fresh), UNMARKABLE)}
                if self._is_noting:
                    ready, unfit = await self._noted(fresh, refused)
                    left_out += len(fresh) - len(ready)
                    fresh = ready
                    refused = {**refused, **unfit}
                self._unsettled |= fresh
                self._seen += len(fresh)
                if fresh:
                    yield [
                        Unreadable(locator, (refused[found.key],), self._original(found), refused[found.key].path)
                        if refused and found.key in refused
                        else Envelope(found, locator, self._original(found))
                        for locator, found in fresh.items()
                    ]
            self._shows_all = self._numbers is None and not left_out
            if left_out:
                logger.warning("{} orders changed in TracOS before they could be told: left for the next run", left_out)
        finally:
            if groups is not None:
                await groups.close()

    @property
    def pending(self) -> int:
        """How many documents are not settled yet."""
        return len(self._unsettled)

    def learn(self, called: Mapping[Locator, ExternalId], gone: Sequence[Locator]) -> None:
        """The client keeps these orders under ids of its own, which their marks say; the others it has no more."""
        self._called |= called
        self._gone |= dict.fromkeys(gone)

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """Mark what was delivered as synced, as far as it still says what was sent; the rest stays unsynced.

        What was not delivered, and has an id of the client's now, is linked alone.
        """
        sent = {locator: self._unsettled[locator] for locator, fate in fates.items() if fate is Fate.DELIVERED}
        if sent:
            await self._mark_all(sent)
        linked = [(self._unsettled[one], self._called[one]) for one in fates if one in self._called and one not in sent]
        if linked:
            await self._marker.link(linked)
        if gone := [self._unsettled[locator] for locator in fates if locator in self._gone]:
            await self._delete(gone)
        for locator in fates:
            self._in_hand.pop(self._unsettled.pop(locator).key, None)
            self._called.pop(locator, None)
            self._gone.pop(locator, None)

    async def _mark_all(self, sent: Mapping[Locator, Found]) -> None:
        at, hand_overs, entries, marks = now(), list[HandOver](), list[Entry](), list[Operation]()
        for locator, found in sent.items():
            try:
                one = self._hand_over(locator, found)
                entry, mark = self._entry(one, at), self._marker.operation(one, at)
            except Exception as error:  # it costs that order, and not the batch
                logger.opt(exception=error).trace("no mark")
                what = "was sent, but its mark cannot be made, so that every run sends it again: unexpected"
                logger.error("{} {} {}", locator, what, type(error).__name__)
                continue
            tell_lost(one.record.order.number, one.lost)
            hand_overs.append(one)
            entries.append(entry)
            marks.append(mark)
        await self._decisions.record(entries)
        await self._marker.mark(hand_overs, marks, at)

    async def _delete(self, gone: Sequence[Found]) -> None:
        """The client has removed these orders: so are ours, within what a run may delete."""
        at = now()
        known = list(self._understood(gone))
        live = [(found, current) for found, current in known if not current.order.deleted]
        await self._deletes.spend(current.order.number for _, current in live)
        deleted = await self._marker.delete(known, at) if known else ()
        entries = [
            Entry(
                at=at,
                run=self._decisions.run,
                client=self._terms.client,
                number=current.order.number,
                id=self._terms.id_beside(current.sync.id if current.sync else None),
                locator=str(locator_of(found)),
                rule=ABSENT,
                changes=(Change("deleted", current.order.deleted, new=True),),
            )
            for found, current in live
            if found.key in deleted
        ]
        await self._decisions.record(entries)

    def _understood(self, found: Sequence[Found]) -> Iterator[tuple[Found, Current]]:
        for one in found:
            with contextlib.suppress(Rejected):
                yield one, understood(one, self._terms)

    def _hand_over(self, locator: Locator, found: Found) -> HandOver:
        told = self._in_hand.pop(found.key, None) or self._told(understood(found, self._terms))
        return HandOver(locator, found, told.record, told.current, told.lost, self._called.get(locator))

    def _told(self, current: Current) -> _Told:
        order, lost = yielding(current, self._terms)
        record = to_record(order, current.sync, self._terms, is_new_intent=self._intents.is_new(current.sync))
        return _Told(current, record, lost)

    def _original(self, found: Found) -> bytes:
        return original(found.readable, self._terms.fields)

    def _entry(self, sent: HandOver, at: datetime) -> Entry:
        """What the client has been told that it was not known to hold."""
        record = sent.record
        return Entry(
            at=at,
            run=self._decisions.run,
            client=self._terms.client,
            number=record.external_id if self._terms.ids == "shared" else record.order.number,
            id=self._terms.id_beside(record.external_id if record.is_linked else sent.given),
            locator=str(sent.locator),
            rule=SENT,
            version=record.order.version,
            changes=changed(record.known, record.order),
            lost=sent.lost,
        )

    async def _noted(
        self, fresh: Mapping[Locator, Found], refused: Container[bytes]
    ) -> tuple[dict[Locator, Found], Mapping[bytes, Reason]]:
        """These documents once each says what is about to be handed over, and, by key, why some cannot say it.

        Left out are those that we have written to meanwhile: the next run tells of them.
        """
        at, notes = now(), dict[Locator, Note]()
        for locator, found in fresh.items():
            try:
                told = self._told(understood(found, self._terms))
            except Rejected:
                continue  # it is a dead letter when it is handed over
            sync, key = told.current.sync, found.key
            after = noted(sync, told.record, client=self._terms.client, at=at)
            if after is not sync:
                told = self._told(Current(order=told.current.order, sync=after))
                if key not in refused:
                    notes[locator] = Note(found, stored(after))
            self._in_hand[key] = told
        written, unfit = await self._marker.note(list(notes.values()), at)
        known = dict(fresh)
        for locator, note in notes.items():
            key = note.found.key
            if key in written:
                known[locator] = note.as_written()
            elif key not in unfit:
                del known[locator], self._in_hand[key]
        return known, unfit

    async def _unmarkable(self, fresh: Mapping[Locator, Found]) -> set[bytes]:
        """The keys of those whose mark the collection's validator would refuse: every run would send them again."""
        if not self._connection.has_validator:
            return set()
        at, alike = now(), defaultdict[tuple[type, ...], list[HandOver]](list)
        for locator, found in fresh.items():
            with contextlib.suppress(Rejected):
                one = self._hand_over(locator, found)
                alike[type(one.record.external_id), type(self._marker.fields(one, at)["syncedAt"])].append(one)
        refused: set[bytes] = set()
        for group in alike.values():
            ids, mark = [one.found.readable["_id"] for one in group], self._marker.fields(group[0], at)
            refused |= await self._connection.ride_out(partial(self._connection.refused, ids, mark))
        return refused

    def _tells_deletion(self, found: Found) -> bool:
        """Whether handing it over turns an order that the client knows as live into a deleted one."""
        if not found.readable.get("deleted"):
            return False
        try:
            sync = understood(found, self._terms).sync
        except Rejected:
            return False
        known = () if sync is None else (sync.base, *(sent.values for sent in sync.sent))
        return bool(known) and not any(values is not None and values.deleted for values in known)


def locator_of(found: Found) -> Locator:
    """The order's number and the document's ``_id``; a text is quoted, as one of another type may look like it."""
    document_id = found.readable.get("_id")
    if isinstance(document_id, _SHOWN):
        shown = str(document_id)
    else:
        shown = msgspec.json.encode(document_id).decode() if type(document_id) is str else repr(document_id)
    return Locator(str(found.readable.get("number", "")), f"@{shown}")
