"""The outbound end: orders that the client has not been told of, and their marks once it has."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from loguru import logger
from pymongo.errors import PyMongoError

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Fate
from pipeline.dataflow.ports import Progress, Source
from pipeline.errors import Rejected
from pipeline.history.decisions import SENT, Decisions, Entry, changed
from pipeline.orders.memory import SyncState, handed_over
from pipeline.orders.merge import Current
from pipeline.orders.workorder import ExternalId, Record
from pipeline.tracos.clock import now
from pipeline.tracos.connection import ATTEMPTS, Connection, Cursor, Operation
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.document import guard, guard_rev, original, read_document, stored, synced_fields, to_record

__all__ = ["TracosSource"]

Document = Mapping[str, Any]

GROUP: Final = 1000


class TracosSource(Source[Document]):
    """Yields the unsynced documents; an acked one is marked synced if it still says what was read.

    Whoever edits an order while it is being sent keeps the edit, which stays unsynced; that the older values were sent
    is recorded all the same, so that the client's echo of them is recognised.
    """

    in_flight = 2

    def __init__(
        self,
        connection: Connection,
        client: str,
        default_layout: str,
        decisions: Decisions,
        deletes: DeleteBudget,
        numbers: Sequence[ExternalId] | None = None,
    ) -> None:
        self._connection = connection
        self._client = client
        self._layout = default_layout
        self._decisions = decisions
        self._deletes = deletes
        self._numbers = numbers
        self._read = 0
        self._total: int | None = None
        self._unsettled: dict[Locator, Document] = {}
        self._currents: dict[Locator, Current] = {}
        """What unsettled documents say, from when they are handed over until they are marked."""

    @property
    def title(self) -> str:
        """Our system."""
        return "TracOS"

    def progress(self) -> Progress:
        """How many of the orders that were unsynced at the beginning have been read."""
        return Progress(self._read, self._total, "orders")

    def to_record(self, document: Document) -> Record:
        """The record to hand over; raises Rejected, with all reasons, for a document that cannot be understood."""
        current = read_document(document, self._client)
        if (locator := _locator(document)) in self._unsettled:
            self._currents[locator] = current
        return to_record(current, self._layout)

    async def read(self) -> AsyncIterator[Sequence[Envelope[Document]]]:
        """Yield what is unsynced in groups of 1,000, along an index that marked documents leave.

        After an outage it starts over: what was marked has left the query, and what is in hand is known.
        """
        cursor: Cursor | None = None

        async def following() -> Sequence[Document]:
            nonlocal cursor
            if cursor is None:
                cursor = self._connection.unsynced(GROUP, self._numbers)
            try:
                documents: Sequence[Document] = await cursor.to_list(GROUP)
            except PyMongoError:
                cursor = None
                raise
            return documents

        if self._numbers is None:
            self._total = await self._connection.ride_out(self._connection.count_unsynced)
        try:
            while documents := await self._connection.ride_out(following):
                fresh = {_locator(document): document for document in documents}
                fresh = {locator: document for locator, document in fresh.items() if locator not in self._unsettled}
                self._deletes.spend(document["number"] for document in fresh.values() if self._tells_deletion(document))
                self._unsettled |= fresh
                self._read += len(fresh)
                if fresh:
                    yield [Envelope(document, locator, original(document)) for locator, document in fresh.items()]
        finally:
            if cursor is not None:
                await cursor.close()

    @property
    def pending(self) -> int:
        """How many documents are not settled yet."""
        return len(self._unsettled)

    async def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """Mark what was delivered as synced, as far as it still says what was sent; the rest stays unsynced."""
        sent = {locator: self._unsettled[locator] for locator, fate in fates.items() if fate is Fate.DELIVERED}
        if sent:
            await self._mark_all(sent)
        for locator in fates:
            del self._unsettled[locator]
            self._currents.pop(locator, None)

    async def _mark_all(self, documents: Mapping[Locator, Document]) -> None:
        at = now()
        currents = [self._understood(locator, document) for locator, document in documents.items()]
        told = zip(documents, currents, strict=True)
        await self._decisions.record([self._entry(locator, current, at) for locator, current in told])
        marks = [
            self._mark(document, current, at) for document, current in zip(documents.values(), currents, strict=True)
        ]
        await self._connection.ride_out(lambda: self._write(documents, marks, at))

    def _understood(self, locator: Locator, document: Document) -> Current:
        current = self._currents.pop(locator, None)
        return read_document(document, self._client) if current is None else current

    def _entry(self, locator: Locator, current: Current, at: datetime) -> Entry:
        """What the client has been told that it was not known to hold."""
        record = to_record(current, self._layout)
        return Entry(
            at=at,
            run=self._decisions.run,
            client=self._client,
            number=record.external_id,
            locator=str(locator),
            rule=SENT,
            version=record.order.version,
            changes=changed(record.known, record.order),
        )

    def _mark(self, document: Document, current: Current, at: datetime) -> Operation:
        """The write that marks a document as synced, if it still says what was sent."""
        after = handed_over(current.sync, to_record(current, self._layout), client=self._client, at=at)
        return Operation.update(guard(document), synced_fields(document, after, at, is_synced=True))

    async def _write(self, documents: Mapping[Locator, Document], marks: Sequence[Operation], at: datetime) -> None:
        written = await self._connection.write(marks)
        for position, code in written.codes.items():
            logger.warning(
                "{} was sent but MongoDB refuses its mark (code {}): every run sends it again",
                list(documents)[position],
                code,
            )
        if written.matched < len(marks):
            await self._record_sent(documents, at)

    async def _record_sent(self, documents: Mapping[Locator, Document], at: datetime) -> None:
        """Record the hand-over alone where somebody edited the order meanwhile; marked ones show it already."""
        sent = {str(document["_id"]): document for document in documents.values()}
        ids = [document["_id"] for document in documents.values()]
        for _ in range(ATTEMPTS):
            fresh = await self._connection.with_ids(ids)
            late = [document for document in fresh if not self._shows(document, at)]
            if not late:
                return
            await self._connection.write(
                [
                    Operation.update(
                        guard_rev(document),
                        {"sync": stored(self._handed_over(document, sent[str(document["_id"])], at))},
                    )
                    for document in late
                ]
            )
        logger.warning("orders are being edited in TracOS time and again; the next run sends them once more")

    def _handed_over(self, document: Document, sent: Document, at: datetime) -> SyncState:
        """Our part of ``document`` after what ``sent`` says was handed over."""
        before = read_document(document, self._client).sync
        return handed_over(before, self.to_record(sent), client=self._client, at=at)

    def _shows(self, document: Document, at: datetime) -> bool:
        """Whether the hand-over at ``at`` needs no record any more, because it has one or cannot have one."""
        try:
            sync = read_document(document, self._client).sync
        except Rejected:
            return True
        return sync is not None and any(sent.at == at for sent in sync.sent)

    def _tells_deletion(self, document: Document) -> bool:
        """Whether handing it over turns an order that the client knows as live into a deleted one."""
        if not document.get("deleted"):
            return False
        try:
            sync = read_document(document, self._client).sync
        except Rejected:
            return False
        known = () if sync is None else (sync.base, *(sent.values for sent in sync.sent))
        return bool(known) and not any(values is not None and values.deleted for values in known)


def _locator(document: Document) -> Locator:
    return Locator(str(document.get("number", "")), f"@{document['_id']}")
