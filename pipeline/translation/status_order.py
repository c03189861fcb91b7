"""The layout ``status_order``: one status word an order; deleted is what has a deletion date.

Keys: ``id``, ``status``, ``createdAt`` required; ``updatedAt``, ``title``, ``description``, ``deletedAt`` optional.
"""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from msgspec import Struct

from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import ExternalId, Record, Status, Values, WorkOrder
from pipeline.translation.checks import Checks
from pipeline.translation.json import dump
from pipeline.translation.layout import Layout
from pipeline.translation.times import format_time

__all__ = ["LAYOUT", "STATUS_OF", "WORD_OF", "StatusOrder"]

NAME: Final = "status_order"

STATUS_OF: Final[Mapping[str, Status]] = {
    "NEW": Status.CREATED,
    "PENDING": Status.PENDING,
    "IN_PROGRESS": Status.IN_PROGRESS,
    "ON_HOLD": Status.ON_HOLD,
    "DONE": Status.COMPLETED,
    "CANCELLED": Status.CANCELLED,
}
"""The client's word -> TracOS's."""

WORD_OF: Final[Mapping[Status, str]] = {status: word for word, status in STATUS_OF.items()}
"""TracOS's word -> the client's."""


class StatusOrder(Struct, frozen=True, kw_only=True, gc=False):
    """A checked record of this layout, times in UTC."""

    id: ExternalId
    status: str
    created_at: datetime
    updated_at: datetime | None = None
    title: str | None = None
    description: str | None = None
    deleted_at: datetime | None = None


def validate(data: Mapping[str, Any], zone: tzinfo) -> StatusOrder:
    """Check one JSON object; raises Rejected with all reasons."""
    checks = Checks(data, zone)
    order = StatusOrder(
        id=checks.required_id("id"),
        status=checks.required_word("status", STATUS_OF),
        created_at=checks.required_time("createdAt"),
        updated_at=checks.time("updatedAt"),
        title=checks.text("title"),
        description=checks.text("description"),
        deleted_at=checks.time("deletedAt"),
    )
    checks.done()
    return order


def to_record(order: StatusOrder) -> Record:
    """The checked record in canonical words."""
    canonical = WorkOrder(
        number=order.id,
        title=order.title,
        description=order.description,
        status=STATUS_OF[order.status],
        created_at=order.created_at,
        updated_at=order.updated_at,
        deleted=order.deleted_at is not None,
        deleted_at=order.deleted_at,
    )
    return Record(order=canonical, external_id=order.id, layout=NAME)


def to_json(record: Record) -> bytes:
    """The record in the client's JSON; a deletion whose time nobody knows carries the last known time."""
    order = record.order
    deleted_at = order.deleted_at or order.updated_at or order.created_at if order.deleted else None
    reasons = []
    if order.status is None:
        reasons.append(Reason("missing, and this layout requires one", "$.status"))
    if order.created_at is None:
        reasons.append(Reason("missing, and this layout requires one", "$.createdAt"))
    if order.status is None or order.created_at is None:
        raise Rejected(*reasons)
    return dump(
        {
            "id": record.external_id,
            "title": order.title,
            "description": order.description,
            "status": WORD_OF[order.status],
            "createdAt": format_time(order.created_at),
            "updatedAt": order.updated_at and format_time(order.updated_at),
            "deletedAt": deleted_at and format_time(deleted_at),
        }
    )


def project(values: Values) -> Values:
    """Everything that TracOS says of an order can be said here."""
    return values


LAYOUT: Final = Layout(
    name=NAME,
    id_key="id",
    keys=frozenset({"id", "status", "createdAt", "updatedAt", "title", "description", "deletedAt"}),
    validate=validate,
    to_record=to_record,
    to_json=to_json,
    project=project,
)
