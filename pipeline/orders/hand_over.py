"""What a record tells of the values that were handed to the client before: pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from pipeline.orders.memory import Sent, SyncState
from pipeline.orders.renderings import is_rendering
from pipeline.orders.terms import Project
from pipeline.orders.workorder import NOTHING, Values, WorkOrder, fields_of, is_later, with_values

__all__ = ["Known", "agree", "confirm", "held", "overlay", "taken_for_ours", "unheld"]


class Known(NamedTuple):
    """What is known of the client's side once a record has told what it took."""

    earlier: tuple[Values, ...]
    """What it showed, or was handed, before base."""
    base: Values
    """What it showed last, or has been proved to have taken since."""
    sent: tuple[Sent, ...]
    """What is still unconfirmed."""
    untaken: frozenset[str] = frozenset()
    """The fields in which the record still shows base where something else was sent."""
    echoes: Mapping[str, Any] = {}
    """By field, our value of which the record shows the client's rendering."""
    overruled: Mapping[str, Any] = {}
    """By field, the value of ours that the record shows, in its own way perhaps, and that gave way to another of the
    client's before."""
    is_first: bool = False
    """The client has shown nothing before, so that base is only what it was handed."""


def confirm(seen: WorkOrder, ours: Values, sync: SyncState, project: Project) -> Known:
    """What ``seen`` tells of the values that were handed over; ``ours`` is what TracOS says, in the client's layout."""
    known = _confirmed(seen, sync, project)
    if sync.received is None:
        known = known._replace(is_first=sync.base is not None)
    if sync.sent:
        known = known._replace(overruled=dict(_overruled(seen, sync, project)))
    if sync.base is None and sync.intent is None and not sync.sent:
        return known  # no run has told the client of it, as far as is known
    return known._replace(echoes={**known.echoes, **_unmarked(seen, ours, known)})


def _confirmed(seen: WorkOrder, sync: SyncState, project: Project) -> Known:
    base = project(sync.base or NOTHING)
    stored = overlay(sync.base or NOTHING, base)
    earlier: tuple[Values, ...] = (stored,)
    sent = sync.sent
    echoes = {field: ours for field, ours in sync.echoes.items() if seen.get(field) in (None, stored.get(field))}
    if not sent:
        return Known(earlier, stored, (), echoes=echoes)
    handed = _telling(sent, project)
    fields = fields_of(seen, *handed)
    proving = [
        NOTHING if one.state == "noted" and _shows_base(seen, stored, values) else values
        for one, values in zip(sent, handed, strict=True)
    ]
    proven = max((_first_showing(field, seen, base, proving) for field in fields), default=-1)
    if proven >= 0:
        echoes |= _echoes(seen, handed[proven])
        stored = overlay(stored, handed[proven])
        earlier = (*earlier, *handed[:proven])
        sent, handed = sent[proven + 1 :], handed[proven + 1 :]
    if not handed:
        return Known(earlier, stored, sent, echoes=echoes)
    last = handed[-1]
    untaken = frozenset(
        field
        for field in fields
        if last.get(field) is not None
        and seen.get(field) == stored.get(field) is not None
        and last.get(field) != stored.get(field)
        and echoes.get(field) != last.get(field)
    )
    if untaken and sent[-1].state == "resent" and sync.received and is_later(seen.version, sync.received.version):
        shown = {field: ours for field, ours in _echoes(seen, last).items() if field in untaken}
        return Known((*earlier, *handed[:-1]), overlay(stored, last), (), echoes={**echoes, **shown})
    if untaken and sent[-1].state == "sent":
        sent = (*sent[:-1], replace(sent[-1], state="doubted"))
    return Known(earlier, stored, sent, untaken, echoes)


def _overruled(seen: WorkOrder, sync: SyncState, project: Project) -> Iterator[tuple[str, Any]]:
    """The fields in which ``seen`` shows what gave way before, and our value of them; the latest counts."""
    for one in sync.sent:
        for field in one.overruled:
            ours, theirs = project(one.values).get(field), seen.get(field)
            if theirs is not None and (theirs == ours or is_rendering(field, ours, theirs)):
                yield field, ours


def _telling(sent: Sequence[Sent], project: Project) -> list[Values]:
    """The values of each hand-over that prove it where they are seen: none that gave way, in it or before it."""
    gave_way: dict[str, list[Any]] = {}
    handed: list[Values] = []
    for one in sent:
        values = project(one.values)
        for field in one.overruled:
            gave_way.setdefault(field, []).append(values.get(field))
        past = [field for field, told in gave_way.items() if values.get(field) in told]
        handed.append(with_values(values, dict.fromkeys(past)))
    return handed


def overlay(under: Values, over: Values) -> Values:
    """``over`` where it says something, else ``under``."""
    more = {field: value for field, value in over.more.items() if value is not None}
    deleted, deleted_at = over.deleted, over.deleted_at if over.deleted else None
    if deleted is None:
        deleted, deleted_at = under.deleted, under.deleted_at
    return Values(
        title=under.title if over.title is None else over.title,
        description=under.description if over.description is None else over.description,
        status=under.status if over.status is None else over.status,
        deleted=deleted,
        deleted_at=deleted_at,
        more={**under.more, **more} if more else under.more,
    )


def agree(shown: Values, handed: Values, echoes: Mapping[str, Any]) -> bool:
    """Whether everything handed over is what the client shows, in its own way."""
    return all(handed.get(field) in (None, shown.get(field), echoes.get(field)) for field in fields_of(handed))


def held(sync: SyncState) -> Values | None:
    """What the client is known to hold: what it showed last, under what it was handed last; None where nothing is.

    A value of ours that gave way to one of the client's since is held no more.
    """
    if sync.base is None:
        return None
    last = sync.last_sent
    return overlay(sync.base, with_values(last.values, dict.fromkeys(last.overruled))) if last else sync.base


def unheld(ours: Values, sync: SyncState, project: Project) -> dict[str, Any]:
    """By field, what the client is known to hold (None: nothing) where ``ours`` says something else, in its layout."""
    known = held(sync)
    if known is None:
        return {}
    said, seen = project(ours), project(known)
    return {
        field: known.get(field)
        for field in fields_of(known, said)
        if said.get(field) not in (None, known.get(field), seen.get(field), sync.echoes.get(field))
    }


def taken_for_ours(before: SyncState, after: SyncState) -> list[str]:
    """The fields in which what the client showed before it was told ours counts as its way of showing ours from now on.

    It may as well be that it refuses the change without a word.
    """
    shown, still = before.base or NOTHING, after.base or NOTHING
    return [
        field
        for field, ours in after.echoes.items()
        if before.echoes.get(field) != ours and shown.get(field) == still.get(field) is not None
    ]


def _first_showing(field: str, seen: WorkOrder, base: Values, handed: Sequence[Values]) -> int:
    """The first of ``handed`` that ``seen`` must have taken: its value of ``field`` is there and not in base."""
    value = seen.get(field)
    if value is None or value == base.get(field):
        return -1
    exact = next((i for i, values in enumerate(handed) if values.get(field) == value), -1)
    if exact >= 0:
        return exact
    return next((i for i, values in enumerate(handed) if is_rendering(field, values.get(field), value)), -1)


def _shows_base(seen: WorkOrder, base: Values, values: Values) -> bool:
    """Whether ``seen`` shows base in a field in which ``values`` say something else.

    Of what was perhaps never handed over, that tells that it was not taken: the client may well have come to one of
    the values by itself.
    """
    return any(
        values.get(field) not in (None, base.get(field)) and seen.get(field) == base.get(field)
        for field in fields_of(values, base)
    )


def _unmarked(seen: WorkOrder, ours: Values, known: Known) -> dict[str, Any]:
    """By field, our value of which ``seen`` shows the client's rendering, as what was handed over and never marked.

    A run that is killed between the two leaves no ``sent``. That the client was told is shown by a record in which all
    that TracOS has edited is there, exactly or in the client's own way.
    """
    edited = {
        field: ours.get(field)
        for field in fields_of(ours)
        if ours.get(field) not in (None, known.base.get(field), known.echoes.get(field))
    }
    is_shown = bool(edited) and all(
        seen.get(field) != known.base.get(field)
        and (seen.get(field) == value or is_rendering(field, value, seen.get(field)))
        for field, value in edited.items()
    )
    return _echoes(seen, ours) if is_shown else {}


def _echoes(seen: WorkOrder, handed: Values) -> dict[str, Any]:
    """By field, the values of ``handed`` that ``seen`` shows otherwise and means the same."""
    return {
        field: handed.get(field)
        for field in fields_of(handed)
        if is_rendering(field, handed.get(field), seen.get(field))
    }
