"""What a TracOS document remembers of the client's side: the ``sync`` part, and how it moves on."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from pipeline.orders.workorder import ExternalId, Intent, Record, Values, later

__all__ = [
    "HASHES_KEPT",
    "Arrival",
    "Received",
    "Sent",
    "SyncState",
    "Taken",
    "handed_over",
    "noted",
    "received",
    "said",
]

Arrival: TypeAlias = tuple[int, str, int]
"""When a record came: nanoseconds since 1970, place, position there."""

HASHES_KEPT: Final = 8
SENT_KEPT: Final = 8


class Taken(Struct, frozen=True, gc=False):
    """The hash of the record last taken from one place."""

    locator: str
    hash: str


class Received(Struct, frozen=True, kw_only=True, gc=False):
    """What has been taken from the client."""

    version: datetime | None = None
    """The effective version of the newest record taken."""
    hash: str
    """Of the newest record taken."""
    taken: tuple[Taken, ...] = ()
    """By place, oldest first, the newest eight."""
    arrival: Arrival | None = None
    """When the newest record came, where that is known: orders it among others of its version."""
    latest: Arrival | None = None
    """When the last of all records taken came: orders those without a version."""


class Sent(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Values handed to the client and not yet seen back."""

    values: Values
    version: datetime | None = None
    at: datetime
    state: Literal["noted", "sent", "doubted", "resent"] = "sent"
    """``noted``: about to be handed over, and perhaps they were; ``doubted``: a record came that still showed base, so
    they are sent once more; ``resent``: they have been."""
    overruled: tuple[str, ...] = ()
    """Fields in which TracOS has taken another value from the client since: seeing ours there proves nothing."""


class SyncState(Struct, frozen=True, kw_only=True, gc=False):
    """The ``sync`` part of a TracOS document: what we know of the client's side."""

    client: str
    id: ExternalId | None
    """The client's own; None: it numbers its orders itself, and we do not know how it calls this one."""
    layout: str
    base: Values | None = None
    sent: tuple[Sent, ...] = ()
    """Oldest first: a client that takes files late may show an older one than the last."""
    received: Received | None = None
    rev: Annotated[int, Meta(ge=0, lt=2**62)] = 0
    """Raised by every write of ours."""
    echoes: Mapping[str, Any] = {}
    """By field, our value of which ``base`` has the client's rendering (cut, in capitals ...): the two are one."""
    intent: Intent | None = None
    """The client is about to be told of an order that has no id yet, or was; until it shows it, or is told again."""
    passed: Mapping[str, Any] = {}
    """By field, what the client had edited in an order that both sides have deleted: it is not compared before one of
    them brings the order back, or the client is told of it again."""

    @property
    def last_sent(self) -> Sent | None:
        """The last of ``sent`` that surely was handed over."""
        return next((one for one in reversed(self.sent) if one.state != "noted"), None)


def said(values: Values) -> str:
    """A hash of what an order says."""
    return hashlib.blake2b(msgspec.msgpack.encode(values), digest_size=6).hexdigest()


def received(
    before: Received | None,
    version: datetime | None,
    digest: str,
    locator: str,
    arrival: Arrival | None,
) -> Received:
    """What has been taken once the record ``digest`` of ``version``, read at ``locator``, has been taken too."""
    last, latest = (before.arrival, before.latest) if before else (None, None)
    others = [place for place in before.taken if place.locator != locator] if before else []
    return Received(
        version=later(before.version if before else None, version),
        hash=digest,
        taken=(*others, Taken(locator, digest))[-HASHES_KEPT:],
        arrival=arrival or last,
        latest=max(latest, arrival) if latest and arrival else latest or arrival,
    )


def noted(sync: SyncState | None, record: Record, *, client: str, at: datetime) -> SyncState:
    """The ``sync`` part once it says, ahead of that, that ``record`` is about to be handed to the client.

    As it is where it says so already, or that the same was handed over before.
    """
    known = record.external_id if record.is_linked else None
    state = sync or SyncState(client=client, id=known, layout=record.layout)
    values, version = record.order.values, record.order.version
    if state.sent and (state.sent[-1].values, state.sent[-1].version) == (values, version):
        return state
    note = Sent(values=values, version=version, at=at, state="noted")
    return replace(state, sent=(*state.sent, note)[-SENT_KEPT:], rev=state.rev + 1)


def handed_over(
    sync: SyncState | None, record: Record, *, client: str, at: datetime, given: ExternalId | None = None
) -> SyncState:
    """The ``sync`` part after ``record`` has been handed to the client at ``at``, which calls it ``given`` since."""
    known = record.external_id if record.is_linked else given
    state = sync or SyncState(client=client, id=known, layout=record.layout)
    known = known if state.id is None else state.id
    values = record.order.values
    before, again = state.sent, False
    while before and before[-1].values == values:
        again = again or before[-1].state in ("doubted", "resent")
        before = before[:-1]
    sent = Sent(values=values, version=record.order.version, at=at, state="resent" if again else "sent")
    return replace(
        state,
        id=known,
        layout=record.layout,
        base=values if state.base is None else state.base,
        sent=(*before, sent)[-SENT_KEPT:],
        rev=state.rev + 1,
        intent=state.intent if known is None else None,
        passed={},
    )
