"""What moves through a chain: an Envelope per item, a Batch of them, a DeadLetter for each that failed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct

from pipeline.dataflow.locators import Locator
from pipeline.errors import Fatal, Reason

__all__ = [
    "Arrival",
    "Batch",
    "BatchResult",
    "DeadLetter",
    "Empty",
    "Envelope",
    "Fate",
    "Outcome",
    "Spared",
    "Unreadable",
]

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


class Fate(StrEnum):
    """What became of one item, told to its source once."""

    DELIVERED = "delivered"
    SKIPPED = "skipped"
    """Filtered out on purpose, or a place that holds nothing."""
    HELD = "held"
    """Dead already, and unchanged since: its letter stays as it is."""
    CLOSED = "closed"
    """Mended or discarded by a person, and unchanged since where it came from."""
    DEFERRED = "deferred"
    """Neither delivered nor dead: the next run looks at it again."""
    DEAD = "dead"
    """Failed, and safe in the dead-letter folder."""


class BatchResult(Struct, frozen=True):
    """What a sink did with a batch."""

    outcomes: Sequence[Outcome | Exception]
    """By position. An Exception makes a dead letter of its item (Deferred: leaves it for the next run)."""
    stop: Fatal | None = None
    """Why the run stops, once what was delivered is acked; the items that it concerns are Deferred."""
    called: Mapping[int, int | str] = {}
    """By position, of items that were new to the other side: the id under which it keeps them, where it gave one."""


Arrival: TypeAlias = tuple[int, str, int]
"""Nanoseconds since 1970, place, and position there: sorts in the order in which items came."""


class Envelope(Struct, Generic[T_co], frozen=True, gc=False):
    """One payload on its way, with where it came from and its original bytes."""

    payload: T_co
    locator: Locator
    """Where the item came from, unique in its source."""
    raw: bytes = b""
    """The original bytes of this item alone."""
    stamp: str = ""
    """The state of the place it came from (a file's size and times); it changes when somebody touches that place."""
    arrival: Arrival | None = None
    """When it came, where its source can tell."""


class Unreadable(Struct, frozen=True):
    """What a source yields in place of an Envelope where there is something that it cannot read."""

    locator: Locator
    reasons: tuple[Reason, ...]
    raw: bytes = b""
    stamp: str = ""


class Spared(Struct, frozen=True):
    """What a source yields for places that it leaves unread: nothing has changed there since all was delivered."""

    count: int


class Empty(Struct, frozen=True):
    """What a source yields for a place that it understood, and that holds no item."""

    locator: Locator


class DeadLetter(Struct, frozen=True, kw_only=True):
    """One item that failed: where, at which stage, for which reasons, and its original bytes."""

    flow: str
    stage: str
    locator: Locator
    reasons: tuple[Reason, ...]
    at: datetime
    raw: bytes = b""
    stamp: str = ""
    arrival: Arrival | None = None

    @classmethod
    def of(
        cls, item: Envelope[Any] | Unreadable, *, flow: str, stage: str, reasons: tuple[Reason, ...]
    ) -> "DeadLetter":
        """What becomes of ``item``, which has failed now."""
        return cls(
            flow=flow,
            stage=stage,
            locator=item.locator,
            reasons=reasons,
            at=datetime.now(UTC),
            raw=item.raw,
            stamp=item.stamp,
            arrival=item.arrival if isinstance(item, Envelope) else None,
        )

    @property
    def loggable(self) -> str:
        """The reasons, as far as they may be logged."""
        more = ["its letter has the rest"] if any(reason.quote for reason in self.reasons) else []
        return "; ".join([*(reason.loggable for reason in self.reasons), *more])


class Batch(Struct, Generic[T_co], frozen=True, kw_only=True):
    """Items that move together, with everything that became of the others.

    Law: each locator in ``received`` is in at least one of the other seven, and, unless a ``flat_map_items`` split its
    item, in exactly one: received = items + skipped + held + closed + deferred + failed + dead_lettered.
    """

    flow: str
    received: Sequence[Locator]
    items: Sequence[Envelope[T_co]]
    skipped: Sequence[Locator] = ()
    """Filtered out on purpose."""
    held: Sequence[Locator] = ()
    """Dead already and unchanged since: not tried again, left as they are."""
    closed: Sequence[Locator] = ()
    """Mended or discarded by a person and unchanged since where they came from: left as they are."""
    deferred: Sequence[Locator] = ()
    """Left for the next run: neither acked nor dead."""
    failed: Sequence[DeadLetter] = ()
    """Failed, and not yet put aside."""
    dead_lettered: Sequence[DeadLetter] = ()
    """Failed, and safe in the dead-letter folder."""
    empty: Sequence[Locator] = ()
    """Places that hold no item; not among the received."""
    spared: int = 0
    """Places left unread, because nothing has changed there since all was delivered; none of their items is here."""
    stop: Fatal | None = None
    """Why the run stops after this batch, which is settled first; ``run`` raises it."""
    called: Mapping[Locator, int | str] = {}
    """The ids that the other side has given to items that were new to it."""
    gone: Sequence[Locator] = ()
    """Those deferred because the other side had them, and has them no more."""

    @property
    def fates(self) -> Mapping[Locator, Fate]:
        """What became of each item received and of each empty place; of an item that was split, the worst of it."""
        fates = dict.fromkeys(self.skipped, Fate.SKIPPED)
        fates |= dict.fromkeys((item.locator for item in self.items), Fate.DELIVERED)
        fates |= dict.fromkeys(self.closed, Fate.CLOSED) | dict.fromkeys(self.held, Fate.HELD)
        fates |= dict.fromkeys(self.deferred, Fate.DEFERRED)
        fates |= dict.fromkeys((letter.locator for letter in self.dead_lettered), Fate.DEAD)
        return {locator: fates[locator] for locator in self.received} | dict.fromkeys(self.empty, Fate.SKIPPED)
