"""What TracOS holds of an order now, and what it remembers of the client's side; looked at, and left alone."""

from collections.abc import Collection
from typing import Final

from msgspec import Struct

from pipeline.errors import Reason, Rejected
from pipeline.orders.memory import SyncState
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import ExternalId, WorkOrder, id_key
from pipeline.tracos.connection import Connection
from pipeline.tracos.document import read_document
from pipeline.tracos.found import Found

__all__ = ["Present", "look_at"]

MOST: Final = 20
"""So many documents are told of at most: more than one is a fault already."""


class Present(Struct, frozen=True, kw_only=True):
    """One document."""

    number: ExternalId | None
    order: WorkOrder | None = None
    """What it says; None: it cannot be understood."""
    sync: SyncState | None = None
    is_synced: bool = False
    reasons: tuple[Reason, ...] = ()
    """Why it cannot be understood."""


async def look_at(connection: Connection, terms: Terms, keys: Collection[ExternalId]) -> list[Present]:
    """The documents that have one of ``keys`` as their number, or that the client calls so. Raises what MongoDB does.

    The keys are as ``id_key`` has them. A document of another client's is none of these.
    """
    spelled = [*keys, *(str(key) for key in keys if isinstance(key, int))]
    found = await connection.find_linked(spelled, spelled)
    return [_present(one, terms) for one in found[:MOST] if _is_of(one, terms, keys)]


def _is_of(found: Found, terms: Terms, keys: Collection[ExternalId]) -> bool:
    """Whether it is this client's, as far as it says: a number that another client calls its own is another order's."""
    sync = found.readable.get("sync")
    client = sync.get("client") if isinstance(sync, dict) else None
    return client in (None, terms.client) and bool({*found.numbers, found.linked_to} & {*keys})


def _present(found: Found, terms: Terms) -> Present:
    number = next(iter(found.numbers), None)
    number = None if number is None else id_key(number)
    try:
        if found.document is None:
            raise Rejected(*found.reasons)
        current = read_document(found.document, terms)
    except Rejected as error:
        return Present(number=number, reasons=error.reasons)
    is_synced = found.readable.get("isSynced") is True
    return Present(number=current.order.number, order=current.order, sync=current.sync, is_synced=is_synced)
