"""The layout ``flag_order``: six flags of which exactly one is true; it knows no description.

Keys: ``orderNo``, ``creationDate`` and one of the flags required; ``summary``, ``lastUpdateDate``, ``deletedDate``
optional. An absent flag counts as false. A deleted order says nothing of its status.
"""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from pipeline.errors import Rejected
from pipeline.orders.workorder import ExternalId, Record, Status, Values, WorkOrder
from pipeline.translation.checks import Checks, required
from pipeline.translation.json import dump
from pipeline.translation.layout import Layout
from pipeline.translation.times import tell

__all__ = ["FLAG_OF", "LAYOUT", "STATUS_OF", "FlagOrder"]

NAME: Final = "flag_order"
DELETED: Final = "isDeleted"

STATUS_OF: Final[Mapping[str, Status]] = {
    "isActive": Status.IN_PROGRESS,
    "isCanceled": Status.CANCELLED,
    "isDone": Status.COMPLETED,
    "isOnHold": Status.ON_HOLD,
    "isPending": Status.PENDING,
}
"""The flag that is true -> TracOS's word."""

FLAG_OF: Final[Mapping[Status, str]] = {
    Status.CREATED: "isPending",
    Status.PENDING: "isPending",
    Status.IN_PROGRESS: "isActive",
    Status.ON_HOLD: "isOnHold",
    Status.COMPLETED: "isDone",
    Status.CANCELLED: "isCanceled",
}
"""TracOS's word -> the flag that is true; ``created`` and ``pending`` look alike here."""

FLAGS: Final = tuple(sorted((*STATUS_OF, DELETED)))


class FlagOrder(Struct, frozen=True, kw_only=True):
    """A checked record of this layout, times in UTC."""

    order_no: ExternalId
    flag: str
    """The one that is true."""
    creation_date: datetime
    last_update_date: datetime | None = None
    summary: str | None = None
    deleted_date: datetime | None = None


def validate(data: Mapping[str, Any], zone: tzinfo) -> FlagOrder:
    """Check one JSON object; raises Rejected with all reasons."""
    checks = Checks(data, zone)
    raised = [flag for flag in FLAGS if checks.flag(flag)]
    if len(raised) != 1:
        said = f"{' and '.join(raised)} are true" if raised else "no flag is true"
        checks.wrong(f"{said}: exactly one of {', '.join(FLAGS)} must be")
    order = FlagOrder(
        order_no=checks.required_id("orderNo"),
        flag=raised[0] if raised else "",
        creation_date=checks.required_time("creationDate"),
        last_update_date=checks.time("lastUpdateDate"),
        summary=checks.text("summary"),
        deleted_date=checks.time("deletedDate"),
    )
    checks.done()
    return order


def to_record(order: FlagOrder) -> Record:
    """The checked record in canonical words."""
    deleted = order.flag == DELETED
    canonical = WorkOrder(
        number=order.order_no,
        title=order.summary,
        status=None if deleted else STATUS_OF[order.flag],
        created_at=order.creation_date,
        updated_at=order.last_update_date,
        deleted=deleted,
        deleted_at=(order.deleted_date or order.last_update_date) if deleted else None,
    )
    return Record(order=canonical, external_id=order.order_no, layout=NAME)


def to_json(record: Record) -> bytes:
    """The record in the client's JSON: all six flags, exactly one of them true."""
    order = record.order
    raised, created = DELETED if order.deleted else order.status and FLAG_OF[order.status], tell(order.created_at)
    reasons = [*required("status", order.status, raised), *required("createdAt", order.created_at, created)]
    if reasons:
        raise Rejected(*reasons)
    return dump(
        {
            "orderNo": record.external_id,
            **{flag: flag == raised for flag in FLAGS},
            "summary": order.title,
            "creationDate": created,
            "lastUpdateDate": tell(order.updated_at),
            "deletedDate": tell(order.deleted_at) if order.deleted else None,
        }
    )


def project(values: Values) -> Values:
    """What can be said here: no description, and ``created`` only as ``pending``."""
    return replace(values, description=None, status=values.status and STATUS_OF[FLAG_OF[values.status]])


LAYOUT: Final = Layout(
    name=NAME,
    id_key="orderNo",
    keys=frozenset({"orderNo", *FLAGS, "summary", "creationDate", "lastUpdateDate", "deletedDate"}),
    validate=validate,
    to_record=to_record,
    to_json=to_json,
    project=project,
)
