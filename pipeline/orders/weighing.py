"""What a record's values come to beside those of TracOS, field by field: pure."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from msgspec import Struct

from pipeline.orders.hand_over import Known
from pipeline.orders.terms import Authority, Terms
from pipeline.orders.workorder import Values, WorkOrder, fields_of, is_later, with_values

__all__ = ["BROUGHT_BACK", "HAS_THE_SAY", "Lost", "compared", "passed", "three_way"]

HAS_THE_SAY: Final = {
    Authority.CLIENT: "the client has the say in this field",
    Authority.TRACOS: "TracOS has the say in this field",
}
"""The rule by which a value gives way whatever is newer."""
KEPT_DELETED: Final = "a record without an update time, not created after the deletion, does not un-delete"
NOT_TAKEN: Final = "not yet taken by the client"
WENT_BACK: Final = "the client went back to its older value"
FIRST_SHOWN: Final = "the client had another value when it first showed the order"
BROUGHT_BACK: Final = "the client had edited it before both sides deleted the order, of which TracOS tells it again"


class Lost(Struct, frozen=True, kw_only=True):
    """A value that an edit set and that this decision does not keep."""

    field: str
    value: Any
    kept: Any
    side: Literal["client", "tracos"]
    """Whose value was lost."""
    because: str


def compared(seen: WorkOrder, echoes: Mapping[str, Any]) -> Values:
    """What counts of a deleted order that is deleted in TracOS too: that, and how it shows what it was told."""
    gone = Values(deleted=True, deleted_at=seen.deleted_at)
    return with_values(gone, {field: seen.get(field) for field in echoes if seen.get(field) is not None})


def passed(seen: WorkOrder, ours: Values, known: Known) -> dict[str, Any]:
    """What the client has edited in an order that both sides have deleted."""
    return {
        field: seen.get(field)
        for field in fields_of(seen)
        if seen.get(field) not in (None, known.base.get(field), ours.get(field)) and field not in known.echoes
    }


def three_way(
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
        if own in (known.echoes.get(field), known.overruled.get(field)):
            continue
        wins, because = _weigh(field, seen, order, own, known, terms)
        # Of what is a rendering of a value of ours, that value.
        theirs = known.echoes.get(field, known.overruled.get(field, theirs))
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
        return True, HAS_THE_SAY[authority] if tracos_edited or known.is_first else ""
    if not client_edited:
        return False, NOT_TAKEN if field in known.untaken else ""
    if authority == Authority.TRACOS:
        return False, HAS_THE_SAY[authority]
    if field == "deleted" and not theirs and seen.updated_at is None:
        wins = order.deleted_at is not None and is_later(seen.created_at, order.deleted_at)
        because = "created after the deletion" if tracos_edited else ""
        return wins, because if wins else KEPT_DELETED
    if tracos_edited:
        wins = is_later(seen.version, order.version)
        return wins, "the client's edit is newer" if wins else "the edit in TracOS is as new or newer"
    went_back = field in known.overruled or any(theirs == values.get(field) for values in known.earlier)
    return True, WENT_BACK if went_back else FIRST_SHOWN if known.is_first else ""
