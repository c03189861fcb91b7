"""What the two sides say of the same orders, compared: pure, no I/O, no clock.

Values are compared as the merge compares them: in the client's layout, an echo being equal, and what one side says
nothing of being no difference.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from pipeline.orders.hand_over import confirm, held, unheld
from pipeline.orders.memory import Arrival, SyncState
from pipeline.orders.merge import HAS_THE_SAY, Current, Decision, Rule, decide, yielding
from pipeline.orders.terms import Authority, Terms
from pipeline.orders.workorder import ExternalId, Record, WorkOrder, fields_of, id_key

__all__ = ["Alone", "Does", "Gap", "GapKind", "Seen", "absent", "compare", "look_at", "untold"]

Does: TypeAlias = Literal["take", "send", "nothing"]
"""What a run would do about a gap: TracOS takes the client's value, the client is told ours, or neither."""

UNMARKED: Final = "nobody has marked the edit (isSynced is true); --fix does, and goes by the rules"
UNTAKEN: Final = "was handed over, and the client shows its older value still"
NOT_SHOWN: Final = "the client knew the order, and its list does not show it any more"
NO_DOCUMENT: Final = "insert"
EDITED: Final = "edited in TracOS"
ONLY_OURS: Final = "only TracOS has edited it"
ONLY_THEIRS: Final = "only the client has edited it"
LATE: Final = "what the client shows is older than what was taken from it ({rule})"
UNTOLD: Final = "the client's direction leaves out outbound"

NS: Final = 1_000_000_000


class GapKind(StrEnum):
    """In what the two sides differ."""

    UNMARKED = "unmarked"
    """TracOS was edited, and its document is still marked as synced."""
    ONLY_CLIENT = "only_client"
    """The client has an order of which there is no document."""
    ONLY_TRACOS = "only_tracos"
    """TracOS has an order that the client had too, and does not show any more."""
    DIFFERS = "differs"
    """Both have a value, and the values differ."""


class Gap(Struct, frozen=True, kw_only=True, gc=False):
    """One difference between the two sides."""

    kind: GapKind
    client: str
    number: ExternalId
    """In TracOS, or what it would be there."""
    id: ExternalId | None
    """The client's, where it is known."""
    field: str | None = None
    """None: it is about the whole order."""
    ours: Any = None
    """What TracOS says, in its own words."""
    theirs: Any = None
    """What the client shows or, of what is unmarked, is known to hold."""
    does: Does
    """What a run would do."""
    rule: str
    """By which rule, or why not."""


class Seen(Struct, frozen=True, gc=False):
    """What one record of the client's comes to."""

    key: ExternalId
    """The client's id, as ids are compared."""
    is_news: bool
    """A run would take it; such a record counts more than one that was taken before."""
    version: datetime | None
    gaps: tuple[Gap, ...]


class Alone(Struct, frozen=True, gc=False):
    """What one document comes to by itself."""

    number: ExternalId
    key: ExternalId | None
    """The client's id, as ids are compared; None where it is not known."""
    gaps: tuple[Gap, ...]
    """What is unmarked."""
    waits: bool
    """It is marked as not synced: the next run tells the client."""
    is_unsure: bool
    """It is marked as synced, and nothing is known of what the client holds: others have marked it."""
    is_expected: bool
    """The client had the order, and nobody has deleted it: a complete list shows it."""


def compare(
    record: Record,
    locator: str,
    current: Current | None,
    *,
    is_synced: bool,
    terms: Terms,
    arrival: Arrival | None = None,
) -> Seen | None:
    """What ``record`` shows beside ``current`` (None: there is no document), which is marked as ``is_synced`` or not.

    None for one that is not the newest of its order. One without an ``arrival`` is what the client shows now.
    """
    key, version = id_key(record.external_id), record.order.version
    if current is None:
        gap = Gap(
            kind=GapKind.ONLY_CLIENT,
            client=terms.client,
            number=terms.number_of(record.external_id),
            id=record.external_id,
            does="take",
            rule=NO_DOCUMENT,
        )
        return Seen(key, True, version, (gap,))
    decision = decide(record, locator, current, terms=terms, arrival=arrival)
    is_known = decision.rule in (Rule.REPEAT, Rule.STALE)
    received = decision.sync.received
    is_newest = not is_known or (received is not None and decision.digest == received.hash)
    if not is_newest and arrival is not None:
        return None
    differing = _differing(record, current, terms)
    if is_known:
        said = _of_known(record, current, decision, differing, arrival, is_synced=is_synced, terms=terms)
    else:
        said = _of_news(record.order, current.order, decision, differing)
    gaps = tuple(
        Gap(
            kind=GapKind.DIFFERS,
            client=terms.client,
            number=current.order.number,
            id=record.external_id,
            field=field,
            ours=current.order.get(field),
            theirs=record.order.get(field),
            does=does,
            rule=rule,
        )
        for field, does, rule in said
    )
    return Seen(key, not is_known, version, gaps)


def look_at(current: Current, *, is_synced: bool, terms: Terms) -> Alone:
    """What a document comes to beside what the client is known to hold."""
    order, sync = current.order, current.sync
    is_known = sync is not None and sync.base is not None
    linked = sync.id if sync is not None else None
    external_id = order.number if linked is None and terms.ids == "shared" else linked
    return Alone(
        number=order.number,
        key=None if external_id is None else id_key(external_id),
        gaps=tuple(_unmarked(current, sync, terms)) if is_synced and sync is not None else (),
        waits=not is_synced,
        is_unsure=is_synced and not is_known,
        is_expected=external_id is not None and (is_known or is_synced) and not order.deleted,
    )


def absent(alone: Alone, terms: Terms) -> Gap:
    """The gap of a document whose order the client's list does not show."""
    does: Does = "send" if alone.waits else "nothing"
    return Gap(
        kind=GapKind.ONLY_TRACOS, client=terms.client, number=alone.number, id=alone.key, does=does, rule=NOT_SHOWN
    )


def untold(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """The gaps, of a client that is not told anything."""
    return tuple(
        replace(gap, does="nothing", rule=UNTOLD) if gap.does == "send" or gap.kind is GapKind.UNMARKED else gap
        for gap in gaps
    )


def _differing(record: Record, current: Current, terms: Terms) -> list[str]:
    """The fields in which the record says something else than the document, in its own layout."""
    seen, order, project = record.order, current.order, terms.projections[record.layout]
    if seen.deleted and order.deleted:
        return []
    ours = project(order.values)
    echoes = confirm(seen, ours, current.sync, project).echoes if current.sync is not None else {}
    return [
        field
        for field in fields_of(seen)
        if seen.get(field) not in (None, ours.get(field))
        and (ours.get(field) is None or ours.get(field) != echoes.get(field))
    ]


def _of_news(
    seen: WorkOrder, order: WorkOrder, decision: Decision, differing: list[str]
) -> Iterator[tuple[str, Does, str]]:
    """What the merge would do about these fields of a record that it does not know.

    Once both sides are deleted, nothing else is compared.
    """
    because = {lost.field: lost.because for lost in decision.lost}
    for field in differing:
        if decision.order.get(field) != order.get(field):
            yield field, "take", because.get(field, ONLY_THEIRS)
        elif not (seen.deleted and decision.order.deleted):
            yield field, "send", because.get(field, ONLY_OURS)


def _of_known(
    record: Record,
    current: Current,
    decision: Decision,
    differing: list[str],
    arrival: Arrival | None,
    *,
    is_synced: bool,
    terms: Terms,
) -> Iterator[tuple[str, Does, str]]:
    """What a run would do about these fields of a record that was taken before: as far as that does not explain them.

    Explained is what is unmarked, which the document shows by itself, and what was handed over after the record came.
    """
    sync = current.sync
    if sync is None or not differing:
        return
    gives_way = {lost.field for lost in yielding(current, terms)[1]} if sync.layout in terms.projections else set()
    unmarked = {gap.field for gap in _unmarked(current, sync, terms)} if is_synced else set()
    is_newest = sync.received is not None and decision.digest == sync.received.hash
    for field in differing:
        if not is_synced:
            client_wins = field in gives_way
            yield field, "take" if client_wins else "send", HAS_THE_SAY[Authority.CLIENT] if client_wins else EDITED
        elif field in unmarked:
            continue
        elif not is_newest:
            yield field, "nothing", LATE.format(rule=decision.rule)
        elif arrival is None or (sync.last_sent and arrival[0] > sync.last_sent.at.timestamp() * NS):
            yield field, "nothing", UNTAKEN


def _unmarked(current: Current, sync: SyncState, terms: Terms) -> Iterator[Gap]:
    """The edits that a document shows against what the client is known to hold."""
    order, project = current.order, terms.projections.get(sync.layout)
    known = held(sync)
    if project is None or known is None or (order.deleted and known.deleted):
        return
    for field, theirs in unheld(order.values, sync, project).items():
        if theirs is None and order.get(field) is False:
            continue
        yield Gap(
            kind=GapKind.UNMARKED,
            client=terms.client,
            number=order.number,
            id=sync.id,
            field=field,
            ours=order.get(field),
            theirs=theirs,
            does="nothing",
            rule=UNMARKED,
        )
