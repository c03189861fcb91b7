"""Decide what one client record means for one TracOS document: pure, no I/O, no clock.

The document remembers, in its ``sync`` part, what the client last showed (``base``) and what was handed to the client
and has not been seen back (``sent``). With base a merge is three-way, field by field: a side has edited a field when
its value differs from base. Without a base every value counts as edited, so that the newer side wins whole.

All comparisons are made in the client's layout: ``project`` maps values to what that layout can say of them, None
where it says nothing. Where two values are equal there, TracOS keeps its own word, so a lossy mapping never looks like
an edit.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.orders.hand_over import Known, agree, confirm, held, overlay, unheld
from pipeline.orders.memory import Arrival, Received, Sent, SyncState, Taken, is_origin, received
from pipeline.orders.terms import Authority, Terms
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

HAS_THE_SAY: Final = {
    Authority.CLIENT: "the client has the say in this field",
    Authority.TRACOS: "TracOS has the say in this field",
}
"""The rule by which a value gives way whatever is newer."""
KEPT_DELETED: Final = "a record without an update time, not created after the deletion, does not un-delete"


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


class Lost(Struct, frozen=True, kw_only=True):
    """A value that an edit set and that this decision does not keep."""

    field: str
    value: Any
    kept: Any
    side: Literal["client", "tracos"]
    """Whose value was lost."""
    because: str


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
    is_newest: bool = False
    """A repeat of the newest record, at the place from which that was taken."""


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
            is_newest = rule is Rule.REPEAT and is_origin(known, locator, digest)
            return Decision(rule=rule, order=current.order, sync=sync, digest=digest, writes=False, is_newest=is_newest)
        if digest == known.hash:
            noted = replace(sync, received=received(known, None, digest, locator, arrival), rev=sync.rev + 1)
            return Decision(rule=Rule.REPEAT, order=current.order, sync=noted, digest=digest)
    taken = received(known, record.order.version, digest, locator, arrival)
    return _merge(record, digest, current.order, sync, taken, terms)


def yielding(current: Current, terms: Terms) -> tuple[WorkOrder, tuple[Lost, ...]]:
    """The order as the client is to be told of it: in a field in which it has the say, what it is known to hold."""
    sync = current.sync
    if not terms.authority or sync is None or (known := held(sync)) is None:
        return current.order, ()
    ours = current.order
    takes = {
        field: sync.echoes.get(field, theirs)
        for field, theirs in unheld(ours.values, sync, terms.projections[sync.layout]).items()
        if theirs is not None and terms.authority_of(field) == Authority.CLIENT
    }
    because = HAS_THE_SAY[Authority.CLIENT]
    lost = [
        Lost(field=field, value=ours.get(field), kept=kept, side="tracos", because=because)
        for field, kept in takes.items()
    ]
    if "deleted" in takes:
        takes["deleted_at"] = known.deleted_at if takes["deleted"] else None
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
    merged, lost = _three_way(seen, order, ours, known, terms)
    if merged != order:
        merged = replace(merged, updated_at=later(order.updated_at, seen.updated_at))
    compared = _compared(seen, known.echoes) if seen.deleted and order.deleted else seen.values
    shown, sent = overlay(known.base, compared), _overrule(known.sent, order, merged)
    if sent and agree(shown, project(sent[-1].values), known.echoes):
        sent = ()
    after = replace(
        sync,
        id=record.external_id,
        layout=record.layout,
        base=shown,
        sent=sent,
        received=taken,
        rev=sync.rev + 1,
        echoes=known.echoes,
        intent=None,
    )
    return Decision(
        rule=Rule.NO_BASE if sync.base is None else Rule.THREE_WAY,
        order=merged,
        sync=after,
        digest=digest,
        is_synced=_client_holds(project(merged.values), seen, after, [project(one.values) for one in sent]),
        lost=tuple(lost),
    )


def _compared(seen: WorkOrder, echoes: Mapping[str, Any]) -> Values:
    """What counts of a deleted order that is deleted in TracOS too: that, and how it shows what it was told."""
    gone = Values(deleted=True, deleted_at=seen.deleted_at)
    return with_values(gone, {field: seen.get(field) for field in echoes if seen.get(field) is not None})


def _three_way(
    seen: WorkOrder, order: WorkOrder, ours: Values, known: Known, terms: Terms
) -> tuple[WorkOrder, list[Lost]]:
    """Merge field by field; ``ours`` is what the client's layout says of ``order``."""
    if seen.deleted and order.deleted:
        return order, []
    takes: dict[str, Any] = {}
    lost: list[Lost] = []
    for field in fields_of(seen):
        theirs, own = seen.get(field), ours.get(field)
        if theirs is None or theirs == own:
            continue
        if own is None:
            takes[field] = theirs
            continue
        if own == known.echoes.get(field):
            continue
        wins, because = _weigh(field, seen, order, own, known, terms)
        theirs = known.echoes.get(field, theirs)  # of what is a rendering of our older value, that value
        if wins:
            takes[field] = theirs
        if because:
            value, kept = (order.get(field), theirs) if wins else (theirs, order.get(field))
            lost.append(Lost(field=field, value=value, kept=kept, side="tracos" if wins else "client", because=because))
    if "deleted" in takes:
        takes["deleted_at"] = seen.deleted_at if takes["deleted"] else None
    return (with_values(order, takes) if takes else order), lost


def _weigh(field: str, seen: WorkOrder, order: WorkOrder, own: Any, known: Known, terms: Terms) -> tuple[bool, str]:
    """Whether the client's value of a field wins over TracOS's ``own``; and why the other, an edit, gives way."""
    theirs, was = seen.get(field), known.base.get(field)
    client_edited, tracos_edited = theirs != was and field not in known.echoes, own != was
    authority = terms.authority_of(field)
    if authority == Authority.CLIENT:
        return True, HAS_THE_SAY[authority] if tracos_edited else ""
    if not client_edited:
        return False, "not yet taken by the client" if field in known.untaken else ""
    if authority == Authority.TRACOS:
        return False, HAS_THE_SAY[authority]
    if field == "deleted" and not theirs and seen.updated_at is None:
        wins = order.deleted_at is not None and is_later(seen.created_at, order.deleted_at)
        because = "created after the deletion" if tracos_edited else ""
        return wins, because if wins else KEPT_DELETED
    if tracos_edited:
        wins = is_later(seen.version, order.version)
        return wins, "the client's edit is newer" if wins else "the edit in TracOS is as new or newer"
    back = any(theirs == values.get(field) for values in known.earlier)
    return True, "the client went back to its older value" if back else ""


def _client_holds(now: Values, seen: WorkOrder, after: SyncState, unconfirmed: Sequence[Values]) -> bool:
    """Whether the client holds what TracOS says ``now``, and nothing unconfirmed says otherwise."""
    fields = ("deleted",) if seen.deleted and now.deleted else fields_of(now)
    shown = after.base or NOTHING
    for field in fields:
        value = now.get(field)
        last = unconfirmed[-1].get(field) if unconfirmed else None
        held = last if last is not None and seen.get(field) is None else shown.get(field)
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
