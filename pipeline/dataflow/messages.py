"""What moves through a chain: an Envelope per item, a Batch of them, a DeadLetter for each that failed."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msgspec import Struct

from pipeline.errors import Reason

__all__ = ["Batch", "DeadLetter", "Envelope", "Outcome", "Spared", "Unreadable"]

T_co = TypeVar("T_co", covariant=True)


class Outcome(StrEnum):
    """What a sink did with one item."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    """Taken, but no value changed."""
    REPEAT = "repeat"
    """Known already: nothing was written."""
    STALE = "stale"
    """Older than what is known: nothing was written."""
    SENT = "sent"


class Envelope(Struct, Generic[T_co], frozen=True, gc=False):
    """One payload on its way, with where it came from and its original bytes."""

    payload: T_co
    locator: str
    """Where the item came from, unique in its source: ``a.json``, ``a.json[3]``, ``a.ndjson:12``."""
    raw: bytes = b""
    """The original bytes of this item alone."""
    stamp: str = ""
    """The state of the place it came from (a file's size and times); it changes when somebody touches that place."""


class Unreadable(Struct, frozen=True):
    """What a source yields in place of an Envelope where there is something that it cannot read."""

    locator: str
    reasons: tuple[Reason, ...]
    raw: bytes = b""
    stamp: str = ""


class Spared(Struct, frozen=True):
    """What a source yields for places that it leaves unread: nothing has changed there since all was delivered."""

    count: int


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One item that failed: where, at which stage, for which reasons, and its original bytes."""

    flow: str
    stage: str
    locator: str
    reasons: tuple[Reason, ...]
    at: datetime
    raw: bytes = b""
    stamp: str = ""


class Batch(Struct, Generic[T_co], frozen=True, kw_only=True):
    """Items that move together, with everything that became of the others.

    Law: each locator in ``received`` is in at least one of the other seven, and, unless a ``flat_map_items`` split its
    item, in exactly one: received = items + skipped + held + closed + deferred + failed + dead_lettered.
    """

    flow: str
    received: Sequence[str]
    items: Sequence[Envelope[T_co]]
    skipped: Sequence[str] = ()
    """Filtered out on purpose; settled like delivered ones."""
    held: Sequence[str] = ()
    """Dead already and unchanged since: not tried again, left as they are."""
    closed: Sequence[str] = ()
    """Mended or discarded by a person and unchanged since where they came from: left as they are."""
    deferred: Sequence[str] = ()
    """Left for the next run: neither acked nor dead."""
    failed: Sequence[DeadLetter] = ()
    """Failed, and not yet put aside."""
    dead_lettered: Sequence[DeadLetter] = ()
    """Failed, and safe in the dead-letter folder."""

    spared: int = 0
    """Places left unread, because nothing has changed there since all was delivered; none of their items is here."""

    @classmethod
    def of(
        cls, flow: str, items: Sequence[Envelope[Any]], failed: Sequence[DeadLetter] = (), spared: int = 0
    ) -> "Batch[Any]":
        """A new batch that has just been read."""
        received = [item.locator for item in items]
        received += [letter.locator for letter in failed]
        return Batch(flow=flow, received=received, items=items, failed=failed, spared=spared)
