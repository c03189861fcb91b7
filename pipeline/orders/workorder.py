"""The canonical work order, which both sides are translated to and from."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

__all__ = [
    "INT64",
    "MERGED_FIELDS",
    "NOTHING",
    "ExternalId",
    "Record",
    "Status",
    "Values",
    "WorkOrder",
    "id_key",
    "later",
]

ExternalId: TypeAlias = int | str
"""An order's id: an int64 or a non-empty text."""

MERGED_FIELDS: Final = ("title", "description", "status", "deleted")
"""What a merge compares, in this order; ``deleted`` carries ``deleted_at`` with it."""

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


class Values(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """The values of a work order that people edit on both sides; None means: nothing is said of it."""

    title: str | None = None
    description: str | None = None
    status: Status | None = None
    deleted: bool | None = None
    deleted_at: datetime | None = None


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
        )


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """A work order at the border: in the client's layout ``layout``, under the id that the client gave it."""

    order: WorkOrder
    external_id: ExternalId
    """The client's own id in the client's own type; ``order.number`` may be its integer or text twin."""
    layout: str
    known: Values | None = None
    """On its way out: what the client is known to hold."""
    edit: int = 0
    """On its way out: how often we have written to the order; two edits that say the same differ in it."""


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
