"""The inbound end: client records into TracOS, a batch at a time: looked up, decided, written under a guard."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from bson import ObjectId
from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.messages import BatchResult, Envelope, Outcome
from pipeline.dataflow.ports import BatchSink
from pipeline.errors import Deferred, Fatal, Reason, Rejected
from pipeline.history.decisions import Decisions, Entry, changed
from pipeline.orders.memory import SyncState
from pipeline.orders.merge import Current, Decision, Project, Rule, decide
from pipeline.orders.workorder import INT64, ExternalId, Record, id_key
from pipeline.tracos.clock import now
from pipeline.tracos.connection import ATTEMPTS, Connection, Operation
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.document import changes, guard, new_document, number_key, read_document, synced_fields
from pipeline.tracos.turns import Turns
from pipeline.tracos.witness import TracosWitness

__all__ = ["TracosSink"]

FAR_AHEAD: Final = timedelta(days=1)
DUPLICATE: Final = 11000

OUTCOMES: Final[Mapping[Rule, Outcome]] = {
    Rule.REPEAT: Outcome.REPEAT,
    Rule.STALE: Outcome.STALE,
    Rule.INSERT: Outcome.CREATED,
}
"""What a record came to by the rule alone; by the others it depends on what they changed."""


class _Plan(Struct, gc=False):
    """The one write that a batch's records of one order come to."""

    key: ExternalId
    operation: Operation
    outcomes: dict[int, Outcome]
    """By the record's position in the batch."""
    taken: "_Taken"
    deletes: bool


class _Taken(Struct, frozen=True, gc=False):
    """The document that records were compared with, as it is once they are done."""

    id: Any
    sync: SyncState
    digests: dict[int, str]
    """Of the records, by position."""


class TracosSink(BatchSink[Record]):
    """Merges records into the collection: one look-up and one write of each kind a batch, whatever the batch holds.

    All of it is idempotent: where a reply was lost, or somebody edited an order between the look-up and the write, the
    orders in question are looked up and decided again, and what was written already shows as a repeat.
    """

    in_flight = 2

    def __init__(
        self,
        connection: Connection,
        client: str,
        projections: Mapping[str, Project],
        decisions: Decisions,
        deletes: DeleteBudget,
        witness: TracosWitness,
    ) -> None:
        self._connection = connection
        self._client = client
        self._projections = projections
        self._decisions = decisions
        self._deletes = deletes
        self._witness = witness
        self._turns = Turns()

    @property
    def title(self) -> str:
        """Our system."""
        return "TracOS"

    async def write_batch(self, items: Sequence[Envelope[Record]]) -> BatchResult:
        """Merge a batch; several records of one order are merged one after the other, and written once."""
        merge = _BatchMerge(items, self._client, self._projections, self._decisions.run, self._witness)
        stop: Fatal | None = None
        async with self._turns.take(merge.open):
            try:
                for _ in range(ATTEMPTS):
                    if merge.open:
                        await self._connection.ride_out(lambda: self._attempt(merge))
            except Fatal as error:
                stop = error
        return BatchResult(merge.results(), stop)

    async def _attempt(self, merge: "_BatchMerge") -> None:
        plans = merge.plan(await self._look_up(merge.open), now())
        self._deletes.spend(plan.key for plan in plans if plan.deletes)
        await self._decisions.record(merge.take_entries())
        await self._write(merge, plans)

    async def _look_up(self, keys: Mapping[ExternalId, object]) -> dict[ExternalId, list[dict[str, Any]]]:
        """The documents of these orders; more than one for an order means twins."""
        twins = [str(key) for key in keys if isinstance(key, int)]
        numbers = [*keys, *twins]
        found: dict[ExternalId, list[dict[str, Any]]] = {}
        for document in await self._connection.with_numbers(numbers):
            found.setdefault(number_key(document), []).append(document)
        return found

    async def _write(self, merge: "_BatchMerge", plans: Sequence[_Plan]) -> None:
        if not plans:
            return
        written = await self._connection.write([plan.operation for plan in plans])
        done = {position: plan for position, plan in enumerate(plans) if position not in written.codes}
        updates = sum(plan.operation.verb == "update" for plan in done.values())
        for position, plan in done.items():
            # The server does not say which guard missed: then all updates are looked up again.
            if written.matched == updates or plan.operation.verb == "insert":
                merge.settle(plan, written.inserted.get(position))
        for position, code in written.codes.items():
            if code != DUPLICATE:  # a duplicate: somebody was here first, so the order is merged again
                merge.refuse(plans[position].key, Reason(f"MongoDB refuses the document (code {code})"))


class _BatchMerge:
    """What is decided, written and still open of one batch; pure but for its own state."""

    def __init__(
        self,
        items: Sequence[Envelope[Record]],
        client: str,
        projections: Mapping[str, Project],
        run: str,
        witness: TracosWitness,
    ) -> None:
        self.open: dict[ExternalId, list[int]] = {}
        self._items = items
        self._client = client
        self._projections = projections
        self._run = run
        self._witness = witness
        self._intended: dict[int, Outcome] = {}
        self._results: dict[int, Outcome | Exception] = {}
        for position, item in enumerate(items):
            if _storable(item.payload.external_id):
                self.open.setdefault(id_key(item.payload.external_id), []).append(position)
            else:
                self._results[position] = Rejected(Reason("the order's id is no int64 and no UTF-8 text"))
        self._entries: list[Entry] = []
        self._told: dict[int, Entry] = {}

    def plan(self, documents: Mapping[ExternalId, Sequence[Mapping[str, Any]]], at: datetime) -> list[_Plan]:
        """Decide every open order; what needs no write is settled, for the rest there is a plan each."""
        return [plan for key in list(self.open) if (plan := self._plan_one(key, documents.get(key, ()), at))]

    def take_entries(self) -> list[Entry]:
        """The entries for the decision log since this was last called."""
        entries, self._entries = self._entries, []
        return entries

    def settle(self, plan: _Plan, encoded: bytes | None) -> None:
        """The plan's write is done; ``encoded`` is the document that was inserted, as it is stored."""
        self._close(plan.key, plan.outcomes)
        self._note(plan.taken, encoded)

    def refuse(self, key: ExternalId, *reasons: Reason) -> None:
        """The order's records cannot pass."""
        self._close(key, dict.fromkeys(self.open[key], Rejected(*reasons)))

    def results(self) -> list[Outcome | Exception]:
        """By position; Deferred for what is still open."""
        late = Deferred("it is being edited in TracOS time and again")
        return [self._results.get(position, late) for position in range(len(self._items))]

    def _plan_one(self, key: ExternalId, documents: Sequence[Mapping[str, Any]], at: datetime) -> _Plan | None:
        if len(documents) > 1:
            self.refuse(key, Reason("several documents in TracOS have this number; merge or remove the twins"))
            return None
        document = documents[0] if documents else None
        try:
            current = None if document is None else read_document(document, self._client)
        except Rejected as error:
            self.refuse(key, *(Reason(f"the document in TracOS: {reason}") for reason in error.reasons))
            return None
        before = current
        last: Decision | None = None
        outcomes: dict[int, Outcome] = {}
        digests: dict[int, str] = {}
        for position in self.open[key]:
            try:
                decision = self._decide(position, current, at)
            except UnicodeEncodeError:
                self.refuse(key, Reason("a text of it is no UTF-8"))
                return None
            outcomes[position] = _outcome(decision, current)
            digests[position] = decision.digest
            if decision.writes:
                if decision.is_synced is None and last is not None:
                    decision = replace(decision, is_synced=last.is_synced)
                last = decision
                current = Current(order=decision.order, sync=decision.sync)
        if last is None:
            self._close(key, outcomes)
            if document is not None and current is not None and current.sync is not None:
                self._note(_Taken(document["_id"], current.sync, digests))
            return None
        # A repeat now may be what an attempt whose reply was lost has written: then it counts as that.
        for position, outcome in outcomes.items():
            if outcome is not Outcome.REPEAT:
                self._intended[position] = outcome
        deletes = before is not None and bool(last.order.deleted) and not before.order.deleted
        document_id = ObjectId() if document is None else document["_id"]
        taken = _Taken(document_id, last.sync, digests)
        return _Plan(key, _operation(document_id, document, before, last, at), outcomes, taken, deletes)

    def _decide(self, position: int, current: Current | None, at: datetime) -> Decision:
        item = self._items[position]
        record, version = item.payload, item.payload.order.version
        project = self._projections[record.layout]
        decision = decide(
            record, str(item.locator), current, client=self._client, project=project, arrival=item.arrival
        )
        if decision.writes and version is not None and version - at > FAR_AHEAD:
            logger.warning(
                "order {} in {} is dated more than a day ahead: taken, but records dated earlier will look stale",
                record.external_id,
                item.locator,
            )
        for lost in decision.lost:
            logger.info("order {}: {} of {} gave way: {}", record.external_id, lost.field, lost.side, lost.because)
        if decision.writes or decision.rule is Rule.STALE:
            entry = Entry(
                at=at,
                run=self._run,
                client=self._client,
                number=record.external_id,
                locator=str(item.locator),
                record=decision.digest,
                rule=decision.rule,
                version=version,
                changes=changed(current.order if current else None, decision.order),
                lost=decision.lost,
            )
            before = self._told.get(position)
            if before is None or replace(before, at=at) != entry:  # decided anew, and otherwise
                self._told[position] = entry
                self._entries.append(entry)
        return decision

    def _note(self, taken: _Taken, encoded: bytes | None = None) -> None:
        for position, digest in taken.digests.items():
            self._witness.note(self._items[position], taken.id, digest, taken.sync, encoded)

    def _close(self, key: ExternalId, results: Mapping[int, Outcome | Exception]) -> None:
        del self.open[key]
        for position, result in results.items():
            self._results[position] = self._intended.get(position, result) if result is Outcome.REPEAT else result


def _storable(number: ExternalId) -> bool:
    return number in INT64 if isinstance(number, int) else number.encode(errors="ignore").decode() == number


def _outcome(decision: Decision, current: Current | None) -> Outcome:
    outcome = OUTCOMES.get(decision.rule)
    if outcome is None:
        outcome = Outcome.UNCHANGED if current is not None and decision.order == current.order else Outcome.UPDATED
    return outcome


def _operation(
    document_id: Any, document: Mapping[str, Any] | None, before: Current | None, last: Decision, at: datetime
) -> Operation:
    if document is None or before is None:
        new = new_document(last.order, last.sync, at, is_synced=bool(last.is_synced))
        return Operation.insert({"_id": document_id, **new})
    sets = changes(document, before.order, last.order)
    sets |= synced_fields(document, last.sync, at, is_synced=last.is_synced)
    return Operation.update(guard(document), sets)
