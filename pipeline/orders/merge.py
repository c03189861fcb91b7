"""Decide what one client record means for one TracOS document: pure, no I/O, no clock.

The document remembers, in its ``sync`` part, what the client last showed (``base``) and what was handed to the client
and has not been seen back (``sent``). With base a merge is three-way, field by field: a side has edited a field when
its value differs from base. Without a base every value counts as edited, so that the newer side wins whole.

All comparisons are made in the client's layout: ``project`` maps values to what that layout can say of them, None
where it says nothing. Where two values are equal there, TracOS keeps its own word, so a lossy mapping never looks like
an edit.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.orders.memory import Arrival, Received, Sent, SyncState, Taken, received
from pipeline.orders.workorder import MERGED_FIELDS, NOTHING, Record, Status, Values, WorkOrder, later

__all__ = [
    "Current",
    "Decision",
    "Lost",
    "Project",
    "Rule",
    "decide",
    "known_by",
    "record_hash",
]

Project: TypeAlias = Callable[[Values], Values]
"""What a layout can say of values: a field's own word where it has one, None where it says nothing."""


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


def decide(
    record: Record,
    locator: str,
    current: Current | None,
    *,
    client: str,
    project: Project,
    arrival: Arrival | None = None,
) -> Decision:
    """Decide what ``record``, read at ``locator``, does to ``current`` (None: TracOS has no such order).

    ``arrival`` is when it came, where that is known.
    """
    digest = record_hash(record)
    if current is None:
        return _insert(record, locator, digest, client, arrival)
    sync = current.sync or SyncState(client=client, id=record.external_id, layout=record.layout)
    known = sync.received
    if known is not None:
        rule = known_by(known, locator, digest, record.order.version, arrival)
        if rule is not None:
            return Decision(rule=rule, order=current.order, sync=sync, digest=digest, writes=False)
        if digest == known.hash:
            noted = replace(sync, received=received(known, None, digest, locator, arrival), rev=sync.rev + 1)
            return Decision(rule=Rule.REPEAT, order=current.order, sync=noted, digest=digest)
    taken = received(known, record.order.version, digest, locator, arrival)
    return _merge(record, digest, current.order, sync, taken, project)


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
    if _newer(known.version, version):
        return Rule.STALE
    is_one_of_equals = version == known.version and arrival is not None and known.arrival is not None
    return Rule.STALE if is_one_of_equals and arrival < known.arrival else None  # type: ignore[operator]  # both are there


def record_hash(record: Record) -> str:
    """A hash over what a record says, whatever its bytes look like."""
    said = msgspec.msgpack.encode((record.layout, record.external_id, record.order))
    return hashlib.blake2b(said, digest_size=12).hexdigest()


def _insert(record: Record, locator: str, digest: str, client: str, arrival: Arrival | None) -> Decision:
    order = seen = record.order
    if seen.status is None and seen.deleted:
        order = replace(order, status=Status.CANCELLED)
    if seen.updated_at is None:
        order = replace(order, updated_at=seen.created_at)
    sync = SyncState(
        client=client,
        id=record.external_id,
        layout=record.layout,
        base=seen.values,
        received=received(None, seen.version, digest, locator, arrival),
        rev=1,
    )
    return Decision(rule=Rule.INSERT, order=order, sync=sync, digest=digest, is_synced=True)


def _merge(
    record: Record, digest: str, order: WorkOrder, sync: SyncState, taken: Received, project: Project
) -> Decision:
    seen = record.order
    known = _confirm(seen, sync, project)
    merged, lost = _three_way(seen, order, project(order.values), known)
    if merged != order:
        merged = replace(merged, updated_at=later(order.updated_at, seen.updated_at))
    changed = [field for field in MERGED_FIELDS if getattr(merged, field) != getattr(order, field)]
    compared = Values(deleted=True, deleted_at=seen.deleted_at) if seen.deleted and order.deleted else seen.values
    shown, sent = _overlay(known.base, compared), _overrule(known.sent, changed)
    if sent and _agree(shown, project(sent[-1].values)):
        sent = ()
    after = replace(
        sync,
        id=record.external_id,
        layout=record.layout,
        base=shown,
        sent=sent,
        received=taken,
        rev=sync.rev + 1,
    )
    return Decision(
        rule=Rule.NO_BASE if sync.base is None else Rule.THREE_WAY,
        order=merged,
        sync=after,
        digest=digest,
        is_synced=_client_holds(project(merged.values), seen, shown, [project(one.values) for one in sent]),
        lost=tuple(lost),
    )


class _Known(NamedTuple):
    """What is known of the client's side once a record has told what it took."""

    earlier: tuple[Values, ...]
    """What it showed, or was handed, before base."""
    base: Values
    """What it showed last, or has been proved to have taken since."""
    sent: tuple[Sent, ...]
    """What is still unconfirmed."""
    untaken: frozenset[str] = frozenset()
    """The fields in which the record still shows base where something else was sent."""


def _confirm(seen: WorkOrder, sync: SyncState, project: Project) -> _Known:
    """What ``seen`` tells of the values that were handed over."""
    base = project(sync.base or NOTHING)
    stored = _overlay(sync.base or NOTHING, base)
    earlier: tuple[Values, ...] = (stored,)
    sent = sync.sent
    if not sent:
        return _Known(earlier, stored, ())
    handed = [replace(project(one.values), **dict.fromkeys(one.overruled)) for one in sent]
    proven = max((_first_showing(field, seen, base, handed) for field in MERGED_FIELDS), default=-1)
    if proven >= 0:
        stored = _overlay(stored, handed[proven])
        earlier = (*earlier, *handed[:proven])
        sent, handed = sent[proven + 1 :], handed[proven + 1 :]
    if not handed:
        return _Known(earlier, stored, sent)
    untaken = frozenset(
        field
        for field in MERGED_FIELDS
        if getattr(handed[-1], field) is not None
        and getattr(seen, field) == getattr(stored, field) is not None
        and getattr(handed[-1], field) != getattr(stored, field)
    )
    if untaken and sent[-1].state == "resent" and sync.received and _newer(seen.version, sync.received.version):
        return _Known((*earlier, *handed[:-1]), _overlay(stored, handed[-1]), ())
    if untaken and sent[-1].state == "sent":
        sent = (*sent[:-1], replace(sent[-1], state="doubted"))
    return _Known(earlier, stored, sent, untaken)


def _first_showing(field: str, seen: WorkOrder, base: Values, handed: Sequence[Values]) -> int:
    """The first of ``handed`` that ``seen`` must have taken: its value of ``field`` is there and not in base."""
    value = getattr(seen, field)
    if value is None or value == getattr(base, field):
        return -1
    return next((i for i, values in enumerate(handed) if getattr(values, field) == value), -1)


def _three_way(seen: WorkOrder, order: WorkOrder, ours: Values, known: _Known) -> tuple[WorkOrder, list[Lost]]:
    """Merge field by field; ``ours`` is what the client's layout says of ``order``."""
    if seen.deleted and order.deleted:
        return order, []
    client_newer = _newer(seen.version, order.version)
    takes: dict[str, Any] = {}
    lost: list[Lost] = []
    for field in MERGED_FIELDS:
        theirs, own, was = getattr(seen, field), getattr(ours, field), getattr(known.base, field)
        if theirs is None or theirs == own:
            continue
        if own is None:
            takes[field] = theirs
            continue
        client_edited, tracos_edited = theirs != was, own != was
        undelete = field == "deleted" and not theirs
        if undelete and client_edited and seen.updated_at is None:
            wins = order.deleted_at is not None and _newer(seen.created_at, order.deleted_at)
            kept_out = "a record without an update time, not created after the deletion, does not un-delete"
            because = ("created after the deletion" if tracos_edited else "") if wins else kept_out
        elif client_edited and tracos_edited:
            wins = client_newer
            because = "the client's edit is newer" if wins else "the edit in TracOS is as new or newer"
        elif client_edited:
            wins = True
            back = any(theirs == getattr(values, field) for values in known.earlier)
            because = "the client went back to its older value" if back else ""
        else:
            wins, because = False, "not yet taken by the client" if field in known.untaken else ""
        if wins:
            takes[field] = theirs
        if because:
            value, kept = (getattr(order, field), theirs) if wins else (theirs, getattr(order, field))
            lost.append(Lost(field=field, value=value, kept=kept, side="tracos" if wins else "client", because=because))
    if "deleted" in takes:
        takes["deleted_at"] = seen.deleted_at if takes["deleted"] else None
    return (replace(order, **takes) if takes else order), lost


def _client_holds(now: Values, seen: WorkOrder, shown: Values, unconfirmed: Sequence[Values]) -> bool:
    """Whether the client holds what TracOS says ``now``, and nothing unconfirmed says otherwise."""
    fields = ("deleted",) if seen.deleted and now.deleted else MERGED_FIELDS
    for field in fields:
        value = getattr(now, field)
        last = getattr(unconfirmed[-1], field) if unconfirmed else None
        spoken = getattr(seen, field)
        held = last if spoken is None and last is not None else getattr(shown, field)
        if value is not None and (value != held or (last is not None and value != last)):
            return False
    return True


def _overrule(sent: tuple[Sent, ...], fields: Sequence[str]) -> tuple[Sent, ...]:
    """``sent``, once TracOS has taken the client's value of ``fields``."""
    if not fields:
        return sent
    return tuple(replace(one, overruled=tuple(sorted({*one.overruled, *fields}))) for one in sent)


def _agree(shown: Values, handed: Values) -> bool:
    """Whether everything handed over is what the client shows."""
    return all(getattr(handed, field) in (None, getattr(shown, field)) for field in MERGED_FIELDS)


def _overlay(under: Values, over: Values) -> Values:
    """``over`` where it says something, else ``under``."""
    said = {field: getattr(over, field) for field in MERGED_FIELDS if getattr(over, field) is not None}
    if "deleted" in said:
        said["deleted_at"] = over.deleted_at if said["deleted"] else None
    return replace(under, **said) if said else under


def _newer(one: datetime | None, other: datetime | None) -> bool:
    """Whether ``one`` is later than ``other``; an absent time counts as oldest."""
    return one is not None and (other is None or one > other)
