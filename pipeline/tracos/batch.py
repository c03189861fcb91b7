"""What a batch of records comes to: decided, planned and settled order by order; pure but for its own state."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import bson
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.messages import Envelope, Outcome
from pipeline.errors import Deferred, Reason, Rejected
from pipeline.history.decisions import Entry, changed
from pipeline.orders.memory import SyncState
from pipeline.orders.merge import Current, Decision, Lost, Rule, decide, new_order, record_hash
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId, Record, WorkOrder, id_key
from pipeline.tracos.clock import now
from pipeline.tracos.connection import ATTEMPTS
from pipeline.tracos.document import changes, guard, stored, synced_fields
from pipeline.tracos.found import Found
from pipeline.tracos.inserts import first_sync, new_document, new_ids
from pipeline.tracos.limits import fault_of, warn_of_future
from pipeline.tracos.matching import current_of, why_taken
from pipeline.tracos.operations import Operation
from pipeline.tracos.story import Story, tell
from pipeline.tracos.verdicts import Refusal
from pipeline.tracos.witness import TracosWitness
from pipeline.translation.times import format_time

__all__ = ["UNLIKE", "BatchMerge", "Documents", "Plan", "raws"]

Documents: TypeAlias = Mapping[ExternalId, Sequence[Found]]
"""What was found of orders; more than one document for an order means twins."""

OUTCOMES: Final[Mapping[Rule, Outcome]] = {
    Rule.REPEAT: Outcome.REPEAT,
    Rule.STALE: Outcome.STALE,
    Rule.INSERT: Outcome.CREATED,
}
"""What a record came to by the rule alone; by the others it depends on what they changed."""

LATE: Final = "it is being edited in TracOS time and again"
UNLIKE: Final = (
    "its document in TracOS is not found again by what was read of it, though nobody edits it: a field may be in it "
    "twice, or of a kind that cannot be compared; set it right there"
)
"""Why no write reaches an order."""


class Plan(Struct, gc=False):
    """The one write that a batch's records of one order come to."""

    key: ExternalId
    operation: Operation
    outcomes: dict[int, Outcome]
    """By the record's position in the batch."""
    taken: "_Taken"
    deletes: bool
    keeps_out: bool
    """A value that somebody edited gives way: that is written down before."""


class _Taken(Struct, frozen=True, gc=False):
    """The document that records were compared with, as it is once they are done."""

    id: Any
    sync: SyncState | None
    """None: it is new, and the one record is all that it has taken."""
    digests: dict[int, str]
    """Of the records, by position."""


class BatchMerge:
    """The records of one batch: which orders are still open, and what became of the others."""

    def __init__(
        self,
        items: Sequence[Envelope[Record]],
        terms: Terms,
        run: str,
        witness: TracosWitness,
    ) -> None:
        self.open: dict[ExternalId, list[int]] = {}
        self._items = items
        self._terms = terms
        self._run = run
        self._witness = witness
        self._story = Story()
        self._new_ids = new_ids()
        self._at = ""
        """When it was planned last, as a new document tells it."""
        self._last: tuple[Sequence[Plan], Documents] = (), {}
        """What was planned last, and what it was compared with; of use only for orders whose write is not done."""
        self._intended: dict[int, Outcome] = {}
        self._tried: dict[ExternalId, list[Operation]] = defaultdict(list)
        self._compared: dict[ExternalId, list[bytes]] = {}
        """With what an order's records were last compared."""
        self.unmet: set[ExternalId] = set()
        """Orders of the last attempt whose document may not have been met, as MongoDB's answer says."""
        self._missed: Counter[ExternalId] = Counter()
        """How often an order's write missed, and nothing else was found than before."""
        self._taken_numbers: dict[ExternalId, Reason] = {}
        self._results: dict[int, Outcome | Exception] = {}
        at = now()
        for position, item in enumerate(items):
            fault = fault_of(item.payload, at)
            if fault is None:
                self.open.setdefault(id_key(item.payload.external_id), []).append(position)
            else:
                self._results[position] = Rejected(fault)

    def unmoved(self, found: Documents) -> list[ExternalId]:
        """The open orders that were tried, and of which nothing else is found than they were compared with."""
        self._remember_the_last_attempt()
        return [key for key in self._compared if key in self.open and self._compared[key] == raws(found.get(key, ()))]

    def miss(self, unmoved: Sequence[ExternalId]) -> None:
        """A majority has what was found of these: waiting helps none whose write was answered; others are no misses."""
        self._missed.update(self.unmet.intersection(unmoved))

    def plan(self, found: Documents, at: datetime) -> tuple[list[Plan], list[Entry]]:
        """Decide every open order; what needs no write is settled, for the rest there is a plan each.

        And what the decision log is to be told before that is written.
        """
        self._remember_the_last_attempt()
        self.unmet.clear()
        before, self._at = dict(self.open), format_time(at)
        plans = [plan for key in before if (plan := self._plan_one(key, found.get(key, ()), at))]
        self._last = plans, found
        settled = [key for key in before if key not in self.open] if len(self.open) < len(before) else ()
        entries = [entry for key in settled for entry in self._story.done(before[key])]
        entries += [entry for plan in plans if plan.keeps_out for entry in self._story.ahead(plan.outcomes)]
        return plans, entries

    def settle(self, plan: Plan, encoded: bytes | None = None) -> list[Entry]:
        """The plan's write is done; ``encoded`` is the document that was inserted, as it is stored.

        Returns what the decision log is to be told now.
        """
        self._close(plan.key, plan.outcomes)
        self._note(plan.taken, encoded)
        return self._story.done(plan.outcomes)

    def refuse(self, key: ExternalId, *reasons: Reason) -> None:
        """The order's records cannot pass."""
        for position in self.open[key]:
            self._story.decide(position, None)
        self._close(key, dict.fromkeys(self.open[key], Rejected(*reasons)))

    def take_number(self, key: ExternalId, refusal: Refusal) -> None:
        """Some other document has the order's number, or the client's id, already."""
        self.unmet.add(key)
        self._taken_numbers[key] = why_taken(self._terms, self.records(key)[0], refusal)

    def records(self, key: ExternalId) -> list[Record]:
        """The records of an open order."""
        return [self._items[position].payload for position in self.open[key]]

    def taken_back(self) -> list[Entry]:
        """What the decision log was told of writes that were not made."""
        return self._story.taken_back()

    def results(self) -> list[Outcome | Exception]:
        """By position; Deferred for what is still open, but for what no waiting helps."""
        for key in [key for key in self.open if self._missed[key] >= ATTEMPTS - 1]:
            self.refuse(key, self._taken_numbers.get(key, Reason(UNLIKE)))
        late = Deferred(LATE)
        return [self._results.get(position, late) for position in range(len(self._items))]

    def _remember_the_last_attempt(self) -> None:
        """Of what is still open, which is rare: what was tried, and with what it was compared."""
        plans, found = self._last
        for plan in plans:
            if plan.key in self.open:
                self._compared[plan.key] = raws(found.get(plan.key, ()))
                self._tried[plan.key].append(plan.operation)
                outcomes = plan.outcomes.items()
                self._intended |= {at: outcome for at, outcome in outcomes if outcome is not Outcome.REPEAT}
        self._last = (), {}

    def _plan_one(self, key: ExternalId, found: Sequence[Found], at: datetime) -> Plan | None:
        try:
            before = current_of(self._terms, key, found)
        except Rejected as error:
            self.refuse(key, *error.reasons)
            return None
        document = found[0].document if found else None
        if before is None and len(self.open[key]) == 1 and key not in self._tried:
            return self._plan_new(key, self.open[key][0], at)
        current = before
        writing: list[Decision] = []
        digests: dict[int, str] = {}
        outcomes: dict[int, Outcome] = {}
        for position in self.open[key]:
            try:
                decision = self._decide(position, current, at)
            except UnicodeEncodeError:
                self.refuse(key, Reason("a text of it is no UTF-8"))
                return None
            outcomes[position], digests[position] = _outcome(decision, current), decision.digest
            if decision.writes:
                writing.append(decision)
                current = Current(order=decision.order, sync=decision.sync)
        self._count_what_was_tried(key, document, outcomes)
        if not writing:
            self._close(key, outcomes)
            if document is not None and current is not None and current.sync is not None:
                self._note(_Taken(document["_id"], current.sync, digests), found[0].raw)
            return None
        last = _with_mark(writing)
        document_id = next(self._new_ids) if document is None else document["_id"]
        return Plan(
            key,
            self._operation(document_id, document, before, last, at),
            outcomes,
            _Taken(document_id, last.sync, digests),
            deletes=before is not None and bool(last.order.deleted) and not before.order.deleted,
            keeps_out=any(decision.lost for decision in writing),
        )

    def _plan_new(self, key: ExternalId, position: int, at: datetime) -> Plan | None:
        """The plan for the only record of an order that is not there: most of a first run, so it has a short way."""
        item = self._items[position]
        record, locator = item.payload, str(item.locator)
        try:
            digest = record_hash(record)
        except UnicodeEncodeError:
            self.refuse(key, Reason("a text of it is no UTF-8"))
            return None
        order = new_order(record, self._terms)
        warn_of_future(item, at)
        self._story.decide(position, self._entry(item, locator, Rule.INSERT, digest, (None, order), at))
        sync = first_sync(record, locator, digest, item.arrival, self._terms.client)
        document_id = next(self._new_ids)
        new = new_document(document_id, order, sync, self._at)
        taken = _Taken(document_id, None, {position: digest})
        return Plan(key, Operation.insert(new), {position: Outcome.CREATED}, taken, False, False)

    def _count_what_was_tried(
        self, key: ExternalId, document: Mapping[str, Any] | None, outcomes: dict[int, Outcome]
    ) -> None:
        """A repeat now may be what an attempt of ours whose reply was lost has written: then it counts as that."""
        if key not in self._tried:
            return
        is_ours = any(_shows(document, operation) for operation in self._tried[key])
        for position, outcome in outcomes.items():
            if outcome is not Outcome.REPEAT:
                continue
            if is_ours:
                outcomes[position] = self._intended.get(position, outcome)
                self._story.was_written(position)
            else:
                self._story.take_back(position)

    def _decide(self, position: int, current: Current | None, at: datetime) -> Decision:
        item = self._items[position]
        record, locator = item.payload, str(item.locator)
        decision = decide(record, locator, current, terms=self._terms, arrival=item.arrival)
        tell(record.external_id, current, decision)
        entry: Entry | None = None
        if decision.writes or decision.rule is Rule.STALE:
            before = current.order if current else None
            entry = self._entry(
                item, locator, decision.rule, decision.digest, (before, decision.order), at, decision.lost
            )
        if decision.writes:
            warn_of_future(item, at)
        self._story.decide(position, entry)
        return decision

    def _entry(
        self,
        item: Envelope[Record],
        locator: str,
        rule: Rule,
        digest: str,
        orders: tuple[WorkOrder | None, WorkOrder],
        at: datetime,
        lost: tuple[Lost, ...] = (),
    ) -> Entry:
        record, (before, after) = item.payload, orders
        return Entry(
            at=at,
            run=self._run,
            client=self._terms.client,
            number=record.external_id if self._terms.ids == "shared" else after.number,
            id=self._terms.id_beside(record.external_id),
            locator=locator,
            record=digest,
            rule=rule,
            version=record.order.version,
            changes=changed(before, after),
            lost=lost,
        )

    def _operation(
        self, document_id: Any, document: Mapping[str, Any] | None, before: Current | None, last: Decision, at: datetime
    ) -> Operation:
        if document is None or before is None:
            synced_at = self._at if last.is_synced else None
            return Operation.insert(new_document(document_id, last.order, stored(last.sync), synced_at))
        sets = changes(document, before.order, last.order)
        sets |= synced_fields(document, last.sync, at, is_synced=last.is_synced)
        return Operation.update(guard(document, self._terms.fields), sets)

    def _note(self, taken: _Taken, encoded: bytes | None = None) -> None:
        for position, digest in taken.digests.items():
            if taken.sync is None:
                self._witness.note_known(self._items[position], taken.id, digest, encoded)
            else:
                self._witness.note(self._items[position], taken.id, digest, taken.sync, encoded)

    def _close(self, key: ExternalId, results: Mapping[int, Outcome | Exception]) -> None:
        del self.open[key]
        self._results.update(results)


def raws(found: Sequence[Found]) -> list[bytes]:
    """What was found, to be compared."""
    return sorted(one.raw for one in found)


def _outcome(decision: Decision, current: Current | None) -> Outcome:
    outcome = OUTCOMES.get(decision.rule)
    if outcome is None:
        outcome = Outcome.UNCHANGED if current is not None and decision.order == current.order else Outcome.UPDATED
    return outcome


def _with_mark(writing: Sequence[Decision]) -> Decision:
    """The last decision, with whether the client holds what TracOS says from the last one that speaks of it."""
    if writing[-1].is_synced is not None:
        return writing[-1]
    marks = [decision.is_synced for decision in writing if decision.is_synced is not None]
    return replace(writing[-1], is_synced=marks[-1] if marks else None)


def _shows(document: Mapping[str, Any] | None, operation: Operation) -> bool:
    """Whether a document is as a write of ours would have left it."""
    if document is None:
        return False
    if operation.verb == "insert":
        return bool(document["_id"] == operation.values["_id"])
    sets = operation.values
    return bson.encode({field: document.get(field) for field in sets}) == bson.encode(sets)
