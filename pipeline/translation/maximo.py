"""The layout ``maximo``: IBM Maximo's work orders as the object structure MXAPIWODETAIL shows them (lean JSON).

Sources: the statuses and what they mean, IBM's documentation "Work order statuses" (Maximo 7.6); the steps, IBM's
technote 11112013 "Allowable Status Changes for Work Orders", and for WSCH, which it lists only as a beginning, the
table of WOStatusHandler at bportaluri.com (2018). A site may allow less, by conditions on the domain WOSTATUS: its
refusal is then a dead letter too. Not checked in a public source: that a new order may begin as CAN, COMP or CLOSE;
here it may not.

``wonum`` is taken as the order's id: it is unique within a site, so one client is one site. Maximo deletes no work
order that has been approved; what is deleted here is cancelled there.
"""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from pipeline.orders.workorder import ExternalId, Record, Status, Values, WorkOrder
from pipeline.translation.checks import Checks
from pipeline.translation.json import dump
from pipeline.translation.layout import Layout
from pipeline.translation.times import tell
from pipeline.translation.transitions import Vocabulary

__all__ = ["LAYOUT", "VOCABULARY", "Maximo"]

NAME: Final = "maximo"

WAITING: Final = ("WAPPR", "APPR", "WSCH", "WMATL", "WPCOND", "INPRG", "COMP", "CLOSE")

VOCABULARY: Final = Vocabulary(
    status_of={
        "WAPPR": Status.CREATED,  # waiting for approval
        "APPR": Status.PENDING,  # approved: the work can begin
        "WSCH": Status.PENDING,  # waiting to be scheduled
        "WMATL": Status.ON_HOLD,  # waiting for material
        "WPCOND": Status.ON_HOLD,  # waiting for the plant's condition
        "INPRG": Status.IN_PROGRESS,
        "COMP": Status.COMPLETED,  # the physical work is done
        "CLOSE": Status.COMPLETED,  # history
        "CAN": Status.CANCELLED,
    },
    word_of={
        Status.CREATED: "WAPPR",
        Status.PENDING: "APPR",
        Status.IN_PROGRESS: "INPRG",
        Status.ON_HOLD: "WMATL",
        Status.COMPLETED: "COMP",
        Status.CANCELLED: "CAN",
    },
    steps={
        "WAPPR": ("APPR", "WSCH", "WMATL", "WPCOND", "INPRG", "COMP", "CLOSE", "CAN"),
        "APPR": WAITING,
        "WSCH": WAITING,
        "WMATL": WAITING,
        "WPCOND": WAITING,
        "INPRG": ("WAPPR", "WMATL", "COMP", "CLOSE"),
        "COMP": ("CLOSE",),
        "CLOSE": (),
        "CAN": (),
    },
    first=("WAPPR", "APPR", "WSCH", "WMATL", "WPCOND", "INPRG"),
)


class Maximo(Struct, frozen=True, kw_only=True):
    """A checked record of this layout, times in UTC."""

    wonum: ExternalId
    status: str
    reported: datetime | None = None
    """Maximo allows an order without."""
    changed: datetime | None = None
    description: str | None = None
    long_description: str | None = None


def validate(data: Mapping[str, Any], zone: tzinfo) -> Maximo:
    """Check one JSON object; raises Rejected with all reasons."""
    checks = Checks(data, zone)
    order = Maximo(
        wonum=checks.required_id("wonum"),
        status=checks.required_word("status", VOCABULARY.status_of),
        reported=checks.time("reportdate"),
        changed=checks.time("changedate"),
        description=checks.text("description"),
        long_description=checks.text("description_longdescription"),
    )
    checks.done()
    return order


def to_record(order: Maximo) -> Record:
    """The checked record in canonical words."""
    canonical = WorkOrder(
        number=order.wonum,
        title=order.description,
        description=order.long_description,
        status=VOCABULARY.status_of[order.status],
        created_at=order.reported,
        updated_at=order.changed,
    )
    return Record(order=canonical, external_id=order.wonum, layout=NAME)


def to_json(record: Record) -> bytes:
    """What to tell Maximo; without a status where that has not changed. Raises Rejected for a step that is none."""
    order = record.order
    told = replace(record, order=replace(order, status=Status.CANCELLED)) if order.deleted else record
    return dump(
        {
            "wonum": str(record.external_id),
            "description": order.title,
            "description_longdescription": order.description,
            "status": VOCABULARY.word(told),
            "reportdate": tell(order.created_at) if record.known is None else None,
        }
    )


def project(values: Values) -> Values:
    """Maximo's words; nothing is said of a deletion."""
    return replace(values, status=VOCABULARY.project(values.status), deleted=None, deleted_at=None)


LAYOUT: Final = Layout(
    name=NAME,
    id_key="wonum",
    keys=frozenset(
        {
            "wonum",
            "siteid",
            "status",
            "status_maxvalue",
            "reportdate",
            "changedate",
            "description",
            "description_longdescription",
        }
    ),
    validate=validate,
    to_record=to_record,
    to_json=to_json,
    project=project,
)
