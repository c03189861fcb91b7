"""The canonical work order, which both sides are translated to and from."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

__all__ = [
    "INT64",
    "MERGED_FIELDS",
    "NOTHING",
    "ExternalId",
    "Intent",
    "Kind",
    "Moment",
    "Record",
    "Status",
    "Value",
    "Values",
    "WorkOrder",
    "fields_of",
    "id_key",
    "is_later",
    "later",
    "with_values",
]

V = TypeVar("V", bound="Values")

ExternalId: TypeAlias = int | str
"""An order's id: an int64 or a non-empty text."""

Value: TypeAlias = str | int | float | bool | datetime
"""What a field beyond the four holds: a text, a number, a flag, or a time (aware, UTC, whole milliseconds)."""

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""A time that has a zone, and so can be compared: what is read from a file as one may have none."""

MERGED_FIELDS: Final = ("title", "description", "status", "deleted")
"""What a merge of any two orders compares, in this order; ``deleted`` carries ``deleted_at`` with it."""

_OWN: Final = frozenset({*MERGED_FIELDS, "deleted_at"})
"""What is no field of ``more``."""

INT64: Final = range(-(2**63), 2**63)
"""The integers that MongoDB can hold."""

_DECIMAL: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")


class Status(StrEnum):
    """TracOS's words for the state of a work order."""

    CREATED = "created"
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    ON_HOLD = "on_hold"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Kind(StrEnum):
    """What a field beyond the four holds."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"


class Values(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """The values of a work order that people edit on both sides; None means: nothing is said of it."""

    title: str | None = None
    description: str | None = None
    status: Status | None = None
    deleted: bool | None = None
    deleted_at: datetime | None = None
    more: Mapping[str, Any] = {}
    """A Value each of other fields of the document, by its own name there; of what is not here nothing is said."""

    def get(self, field: str) -> Any:
        """The value of one field, by the name that a merge gives it; None where nothing is said of it."""
        return getattr(self, field) if field in MERGED_FIELDS else self.more.get(field)


NOTHING: Final = Values()
"""Of which nothing is said."""


class WorkOrder(Values, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One work order: its values, its number and its times (aware, UTC, whole milliseconds)."""

    number: ExternalId
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def version(self) -> datetime | None:
        """The effective version: the later of ``updated_at`` and, if deleted, ``deleted_at``."""
        return later(self.updated_at, self.deleted_at) if self.deleted else self.updated_at

    @property
    def values(self) -> Values:
        """Only what a merge compares."""
        return Values(
            title=self.title,
            description=self.description,
            status=self.status,
            deleted=self.deleted,
            deleted_at=self.deleted_at,
            more=self.more,
        )


class Intent(Struct, frozen=True, omit_defaults=True, gc=False):
    """That the client is about to be told of a new order, or has been, and its answer was never seen."""

    key: str
    """The same however often it is told of it."""
    at: datetime
    said: str = ""
    """A hash of what the client was to be told; empty where a version of before did not note that."""
    is_old: bool = False
    """From an earlier attempt, whose answer nobody saw: the client may have made the order."""
    is_edited: bool = False
    """Of an old one: the client is told something else than it may have been told then."""


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """A work order at the border: in the client's layout ``layout``, under the id that the client gave it."""

    order: WorkOrder
    external_id: ExternalId
    """The client's own id in the client's own type; ``order.number`` may be its integer or text twin."""
    layout: str
    is_linked: bool = True
    """False, on its way out: the client numbers its orders itself and has not yet; ``external_id`` is our number."""
    reference: ExternalId | None = None
    """On its way in: our number, as the client's record says it."""
    intent: Intent | None = None
    """On its way out: of an order that is not linked, that the client may have been told of it already."""
    known: Values | None = None
    """On its way out: what the client is known to hold."""
    edit: int = 0
    """On its way out: how often we have written to the order; two edits that say the same differ in it."""


def fields_of(*values: Values) -> tuple[str, ...]:
    """All fields that a merge of these compares, in a fixed order."""
    more = {field for one in values for field in one.more}
    return (*MERGED_FIELDS, *sorted(more)) if more else MERGED_FIELDS


def with_values(order: V, values: Mapping[str, Any]) -> V:
    """``order`` with these values, by field; ``deleted_at`` may be among them, None takes a value away."""
    if values.keys() <= _OWN:
        return replace(order, **values)
    more = {field: value for field, value in values.items() if field not in _OWN}
    own = {field: value for field, value in values.items() if field in _OWN}
    kept = {field: value for field, value in {**order.more, **more}.items() if value is not None}
    return replace(order, **own, more=kept)


def id_key(number: ExternalId) -> ExternalId:
    """The form in which two ids are compared: a decimal text and its integer are the same id."""
    if isinstance(number, str) and _DECIMAL.fullmatch(number) and int(number) in INT64:
        return int(number)
    return number


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two times; an absent one counts as oldest."""
    if one is None or other is None:
        return one or other
    return max(one, other)


def is_later(one: datetime | None, other: datetime | None) -> bool:
    """Whether ``one`` is later than ``other``; an absent time counts as oldest."""
    return one is not None and (other is None or one > other)
