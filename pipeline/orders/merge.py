"""Decide what one client record means for one TracOS document: pure, no I/O, no clock.

The document remembers, in its ``sync`` part, what the client last showed (``base``) and what was handed to the client
and has not been seen back (``sent``). With base a merge is three-way, field by field: a side has edited a field when
its value differs from base. Without a base every value counts as edited, so that the newer side wins whole.

All comparisons are made in the client's layout: ``project`` maps values to what that layout can say of them, None
where it says nothing. Where two values are equal there, TracOS keeps its own word, so a lossy mapping never looks like
an edit.
"""

import hashlib
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.orders.hand_over import agree, confirm, held, overlay, unheld
from pipeline.orders.memory import Arrival, Received, Sent, SyncState, Taken, received
from pipeline.orders.terms import Authority, Terms
from pipeline.orders.weighing import BROUGHT_BACK, HAS_THE_SAY, Lost, compared, passed, three_way
from pipeline.orders.workorder import (
    NOTHING,
    Record,
    Status,
    Values,
    WorkOrder,
    fields_of,
    is_later,
    later,
    with_values,
)

__all__ = [
    "HAS_THE_SAY",
    "Current",
    "Decision",
    "Lost",
    "Rule",
    "decide",
    "known_by",
    "new_order",
    "record_hash",
    "yielding",
]


class Rule(StrEnum):
    """Which rule made the decision."""

    REPEAT = "repeat"
    """The same record again: nothing is written, but for the place where a copy of the newest was met.

    Without that note a copy that is kept would look like an edit back to it, once a later record without a later time
    has been taken.
    """
    STALE = "stale"
    """Older than the newest record taken: nothing is written."""
    INSERT = "insert"
    NO_BASE = "no_base"
    THREE_WAY = "three_way"


class Current(Struct, frozen=True, kw_only=True, gc=False):
    """What TracOS holds now."""

    order: WorkOrder
    sync: SyncState | None = None


class Decision(Struct, frozen=True, kw_only=True, gc=False):
    """What is to be done with one record."""

    rule: Rule
    order: WorkOrder
    """What TracOS shall say; equal to what it says where nothing changes."""
    sync: SyncState
    digest: str
    """Of the record."""
    writes: bool = True
    """Whether anything is to be written at all."""
    is_synced: bool | None = None
    """The client already holds what TracOS shall say, and nothing unconfirmed says otherwise; None: as it was."""
    lost: tuple[Lost, ...] = ()


def decide(
    record: Record,
    locator: str,
    current: Current | None,
    *,
    terms: Terms,
    arrival: Arrival | None = None,
) -> Decision:
    """Decide what ``record``, read at ``locator``, does to ``current`` (None: TracOS has no such order).

    ``arrival`` is when it came, where that is known.
    """
    digest = record_hash(record)
    if current is None:
        return _insert(record, locator, digest, terms, arrival)
    sync = current.sync or SyncState(client=terms.client, id=record.external_id, layout=record.layout)
    known = sync.received
    if known is not None:
        rule = known_by(known, locator, digest, record.order.version, arrival)
        if rule is not None:
            return Decision(rule=rule, order=current.order, sync=sync, digest=digest, writes=False)
        if digest == known.hash:
            noted = replace(sync, received=received(known, None, digest, locator, arrival), rev=sync.rev + 1)
            return Decision(rule=Rule.REPEAT, order=current.order, sync=noted, digest=digest)
    taken = received(known, record.order.version, digest, locator, arrival)
    return _merge(record, digest, current.order, sync, taken, terms)


def yielding(current: Current, terms: Terms) -> tuple[WorkOrder, tuple[Lost, ...]]:
    """The order as the client is to be told of it: in a field in which it has the say, what it is known to hold."""
    sync = current.sync
    if sync is None or not (terms.authority or sync.passed) or (known := held(sync)) is None:
        return current.order, ()
    ours = current.order
    edited = unheld(ours.values, sync, terms.projections[sync.layout])
    takes = {
        field: sync.echoes.get(field, theirs)
        for field, theirs in edited.items()
        if theirs is not None and terms.authority_of(field) == Authority.CLIENT
    }
    because = HAS_THE_SAY[Authority.CLIENT]
    lost = [
        Lost(field=field, value=ours.get(field), kept=kept, side="tracos", because=because)
        for field, kept in takes.items()
    ]
    if "deleted" in takes:
        takes["deleted_at"] = known.deleted_at if takes["deleted"] else None
    for field, theirs in sync.passed.items():
        if field in edited and terms.authority_of(field) != Authority.CLIENT:
            kept = ours.get(field)
            lost.append(Lost(field=field, value=theirs, kept=kept, side="client", because=BROUGHT_BACK))
        else:
            takes[field] = theirs
            lost.append(Lost(field=field, value=ours.get(field), kept=theirs, side="tracos", because=BROUGHT_BACK))
    return (with_values(ours, takes) if takes else ours), tuple(lost)


def known_by(
    known: Received, locator: str, digest: str, version: datetime | None, arrival: Arrival | None
) -> Rule | None:
    """The rule by which a record is known already and changes nothing; None where it may.

    Its version decides whether it is older than what was taken, and among equal ones when it came; one without a
    version is older if it came before the last that was taken.
    """
    if Taken(locator, digest) in known.taken:
        return Rule.REPEAT
    came_before = arrival is not None and known.latest is not None and arrival < known.latest
    if digest == known.hash:
        return Rule.REPEAT if came_before else None
    if version is None:
        return Rule.STALE if came_before else None
    if is_later(known.version, version):
        return Rule.STALE
    is_one_of_equals = version == known.version and arrival is not None and known.arrival is not None
    return Rule.STALE if is_one_of_equals and arrival < known.arrival else None  # type: ignore[operator]  # both are there


def record_hash(record: Record) -> str:
    """A hash over what a record says, whatever its bytes look like."""
    said = msgspec.msgpack.encode((record.layout, record.external_id, record.order))
    return hashlib.blake2b(said, digest_size=12).hexdigest()


def new_order(record: Record, terms: Terms) -> WorkOrder:
    """What TracOS shall say of an order that it has not."""
    seen = record.order
    order = replace(seen, number=terms.number_of(record.external_id)) if terms.ids == "client" else seen
    if seen.status is None and seen.deleted:
        order = replace(order, status=Status.CANCELLED)
    if seen.updated_at is None:
        order = replace(order, updated_at=seen.created_at)
    return order


def _insert(record: Record, locator: str, digest: str, terms: Terms, arrival: Arrival | None) -> Decision:
    seen = record.order
    order = new_order(record, terms)
    sync = SyncState(
        client=terms.client,
        id=record.external_id,
        layout=record.layout,
        base=seen.values,
        received=received(None, seen.version, digest, locator, arrival),
        rev=1,
    )
    return Decision(rule=Rule.INSERT, order=order, sync=sync, digest=digest, is_synced=True)


def _merge(record: Record, digest: str, order: WorkOrder, sync: SyncState, taken: Received, terms: Terms) -> Decision:
    seen, project = record.order, terms.projections[record.layout]
    ours = project(order.values)
    known = confirm(seen, ours, sync, project)
    merged, lost = three_way(seen, order, ours, known, terms)
    if merged != order:
        merged = replace(merged, updated_at=later(order.updated_at, seen.updated_at))
    are_gone = bool(seen.deleted and order.deleted)
    said = compared(seen, known.echoes) if are_gone else seen.values
    shown, sent = overlay(known.base, said), _overrule(known.sent, order, merged)
    if sent and agree(shown, project(sent[-1].values), known.echoes):
        sent = ()
    renderings = {field: value for field, value in known.overruled.items() if value != seen.get(field)}
    after = replace(
        sync,
        id=record.external_id,
        layout=record.layout,
        base=shown,
        sent=sent,
        received=taken,
        rev=sync.rev + 1,
        echoes={**renderings, **known.echoes} if renderings else known.echoes,
        intent=None,
        passed=passed(seen, ours, known) if are_gone else {},
    )
    return Decision(
        rule=Rule.NO_BASE if sync.base is None else Rule.THREE_WAY,
        order=merged,
        sync=after,
        digest=digest,
        is_synced=_client_holds(project(merged.values), seen, after, project(sent[-1].values) if sent else NOTHING),
        lost=tuple(lost),
    )


def _client_holds(now: Values, seen: WorkOrder, after: SyncState, unconfirmed: Values) -> bool:
    """Whether the client holds what TracOS says ``now``, and nothing says otherwise that it was handed last."""
    fields = ("deleted",) if seen.deleted and now.deleted else fields_of(now)
    shown, is_sure = after.base or NOTHING, bool(after.sent) and after.sent[-1].state != "noted"
    for field in fields:
        value, last = now.get(field), unconfirmed.get(field)
        held = last if is_sure and last is not None and seen.get(field) is None else shown.get(field)
        is_held = value in (held, after.echoes.get(field))
        if value is not None and (not is_held or (last is not None and value != last)):
            return False
    return True


def _overrule(sent: tuple[Sent, ...], before: WorkOrder, after: WorkOrder) -> tuple[Sent, ...]:
    """``sent``, once TracOS has taken values from the client."""
    fields = [field for field in fields_of(after, before) if after.get(field) != before.get(field)] if sent else []
    if not fields:
        return sent
    return tuple(replace(one, overruled=tuple(sorted({*one.overruled, *fields}))) for one in sent)
