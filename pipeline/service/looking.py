"""What both sides hold of one order now: looked at, and nothing is written."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from pipeline.dataflow.run import Report
from pipeline.orders.workorder import NOTHING, ExternalId, Values, fields_of
from pipeline.service.run import Work
from pipeline.service.session import Session
from pipeline.tracos.present import Present

__all__ = ["Both", "FieldNow", "Looking", "look_at_both"]


class FieldNow(Struct, frozen=True, kw_only=True):
    """One field of an order."""

    field: str
    tracos: Any
    """What TracOS says now."""
    shown: Any
    """What the client showed us last."""
    told: Any = None
    """What the client was told since, and has not shown yet."""


class Both(Struct, frozen=True, kw_only=True):
    """One order, as both sides have it, as far as we know: the client's is what it showed last."""

    client: str
    number: ExternalId | None
    """In TracOS."""
    id: ExternalId | None = None
    """The client's own; None: it is not known."""
    is_synced: bool = False
    """Whether the client holds what TracOS says, as far as we know."""
    updated: datetime | None = None
    """When it was edited last, as TracOS says."""
    shown: datetime | None = None
    """The version of the newest record that the client has shown."""
    told: datetime | None = None
    """When the client was told last, of what it has not shown yet."""
    fields: tuple[FieldNow, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why the document cannot be understood."""


async def look_at_both(session: Session, uri: str, keys: Collection[ExternalId]) -> list[Both]:
    """What there is of an order that is known by one of ``keys``, MongoDB being at ``uri``; raises Fatal."""
    return [_both(session.client.name, one) for one in await session.present(uri, keys)]


class Looking(Work):
    """Looks at an order of each client; no journal tells of it."""

    def __init__(self, keys: Collection[ExternalId]) -> None:
        self._keys = keys
        self.found: list[Both] = []

    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Look at it."""
        self.found += await look_at_both(session, uri, self._keys)

    def exit_code(self, reports: Sequence[Report]) -> int:
        """0: whatever is there."""
        return 0


def _both(client: str, one: Present) -> Both:
    order, sync = one.order, one.sync
    if order is None:
        return Both(client=client, number=one.number, reasons=tuple(map(str, one.reasons)))
    sent = sync.sent[-1] if sync and sync.sent else None
    base = (sync.base if sync else None) or NOTHING
    return Both(
        client=client,
        number=order.number,
        id=sync.id if sync else None,
        is_synced=one.is_synced,
        updated=order.updated_at,
        shown=sync.received.version if sync and sync.received else None,
        told=sent.at if sent else None,
        fields=tuple(_fields(order, base, sent.values if sent else NOTHING)),
    )


def _fields(order: Values, base: Values, sent: Values) -> Iterator[FieldNow]:
    for field in fields_of(order, base, sent):
        yield FieldNow(field=field, tracos=order.get(field), shown=base.get(field), told=sent.get(field))
