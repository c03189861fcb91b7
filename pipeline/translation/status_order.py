"""The layout ``status_order``: one status word an order; deleted is what has a deletion date.

Keys: ``id``, ``status``, ``createdAt`` required; ``updatedAt``, ``title``, ``description``, ``deletedAt`` optional.
A deletion is a fact only if it can be one: not before 1970, not years ahead, and not before the order was created.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from msgspec import Struct

from pipeline.errors import Rejected
from pipeline.orders.workorder import ExternalId, Record, Status, Values, WorkOrder
from pipeline.translation.checks import Checks, required
from pipeline.translation.json import dump
from pipeline.translation.layout import Layout
from pipeline.translation.times import can_be, tell

__all__ = ["LAYOUT", "STATUS_OF", "WORD_OF", "StatusOrder"]

NAME: Final = "status_order"

SLACK: Final = timedelta(days=1)
"""How much earlier than its creation an order may be deleted: clocks differ, and a date alone is its midnight."""

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
    if order.deleted_at is not None and order.deleted_at + SLACK < order.created_at:
        checks.wrong("before the order was created: no deletion; see which of the two dates is wrong", "deletedAt")
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
    word, created = order.status and WORD_OF[order.status], tell(order.created_at)
    reasons = [*required("status", order.status, word), *required("createdAt", order.created_at, created)]
    if reasons:
        raise Rejected(*reasons)
    return dump(
        {
            "id": record.external_id,
            "title": order.title,
            "description": order.description,
            "status": word,
            "createdAt": created,
            "updatedAt": tell(order.updated_at),
            "deletedAt": tell(_deleted_at(order)),
        }
    )


def _deleted_at(order: WorkOrder) -> datetime | None:
    """When to tell that it was deleted: a time that is read as a deletion, whatever time is known."""
    if not order.deleted:
        return None
    known = [moment for moment in (order.deleted_at, order.updated_at) if moment is not None and can_be(moment)]
    created = order.created_at
    return known[0] if known and (created is None or known[0] + SLACK >= created) else created


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
