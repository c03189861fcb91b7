"""The layout ``dynamics_fs``: work orders of Dynamics 365 Field Service (table msdyn_workorder, Dataverse Web API).

Sources: the system statuses and what they mean, Microsoft's "Work order status concepts: system status and substatus"
(2023); the numbers of msdyn_systemstatus, pearsongang.com "MB240 study notes: statuses" (2025): open are Unscheduled
to Completed, closed are Posted and Canceled. An order on hold is one in progress with a substatus, a record of each
site's own: it is told as In Progress, and stays on hold here. Not checked in a public source: which steps the server
itself refuses; here every step between open statuses is legal, Posted is final, and Canceled may be opened again as
Unscheduled.

An order's id is its msdyn_workorderid, a GUID, by which the API addresses it; in capitals it is the same.
"""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from pipeline.orders.workorder import ExternalId, Record, Status, Values, WorkOrder
from pipeline.translation.checks import Checks
from pipeline.translation.json import dump
from pipeline.translation.layout import Layout
from pipeline.translation.transitions import Vocabulary

__all__ = ["LAYOUT", "NUMBER_OF", "VOCABULARY", "DynamicsFs", "guid"]

NAME: Final = "dynamics_fs"
STATUS: Final = "msdyn_systemstatus"

NUMBER_OF: Final[Mapping[str, int]] = {
    "Unscheduled": 690970000,
    "Scheduled": 690970001,
    "In Progress": 690970002,
    "Completed": 690970003,
    "Posted": 690970004,
    "Canceled": 690970005,
}
WORD_OF_NUMBER: Final = {number: word for word, number in NUMBER_OF.items()}

_GUID: Final = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")

OPEN: Final = ("Unscheduled", "Scheduled", "In Progress", "Completed")

VOCABULARY: Final = Vocabulary(
    status_of={
        "Unscheduled": Status.CREATED,
        "Scheduled": Status.PENDING,
        "In Progress": Status.IN_PROGRESS,
        "Completed": Status.COMPLETED,
        "Posted": Status.COMPLETED,  # invoiced, closed
        "Canceled": Status.CANCELLED,
    },
    word_of={
        Status.CREATED: "Unscheduled",
        Status.PENDING: "Scheduled",
        Status.IN_PROGRESS: "In Progress",
        Status.ON_HOLD: "In Progress",
        Status.COMPLETED: "Completed",
        Status.CANCELLED: "Canceled",
    },
    steps={
        "Unscheduled": (*OPEN, "Canceled"),
        "Scheduled": (*OPEN, "Canceled"),
        "In Progress": (*OPEN, "Canceled"),
        "Completed": (*OPEN, "Posted", "Canceled"),
        "Posted": (),
        "Canceled": ("Unscheduled",),
    },
    key=STATUS,
)


class DynamicsFs(Struct, frozen=True, kw_only=True):
    """A checked record of this layout, times in UTC."""

    id: ExternalId
    status: str
    created: datetime
    changed: datetime | None = None
    summary: str | None = None
    instructions: str | None = None


def validate(data: Mapping[str, Any], zone: tzinfo) -> DynamicsFs:
    """Check one JSON object; raises Rejected with all reasons."""
    checks = Checks(data, zone)
    number = data.get(STATUS)
    word = WORD_OF_NUMBER.get(number) if type(number) is int else None
    if word is None:
        known = ", ".join(f"{number} {word}" for word, number in NUMBER_OF.items())
        checks.wrong(f"required: the number of a system status; known: {known}", STATUS)
    order_id = checks.required_id("msdyn_workorderid")
    order = DynamicsFs(
        id=guid(order_id) or order_id,
        status=word or "",
        created=checks.required_time("createdon"),
        changed=checks.time("modifiedon"),
        summary=checks.text("msdyn_workordersummary"),
        instructions=checks.text("msdyn_instructions"),
    )
    checks.done()
    return order


def guid(order_id: ExternalId) -> str | None:
    """A GUID as Dataverse writes it, in small letters and without braces; None for what is none."""
    found = _GUID.fullmatch(order_id) if isinstance(order_id, str) else None
    return found[1].lower() if found else None


def to_record(order: DynamicsFs) -> Record:
    """The checked record in canonical words."""
    canonical = WorkOrder(
        number=order.id,
        title=order.summary,
        description=order.instructions,
        status=VOCABULARY.status_of[order.status],
        created_at=order.created,
        updated_at=order.changed,
    )
    return Record(order=canonical, external_id=order.id, layout=NAME)


def to_json(record: Record) -> bytes:
    """What to tell the server; without a status where that has not changed. Raises Rejected for a step that is none."""
    order = record.order
    told = replace(record, order=replace(order, status=Status.CANCELLED)) if order.deleted else record
    word = VOCABULARY.word(told)
    return dump(
        {
            "msdyn_workordersummary": order.title,
            "msdyn_instructions": order.description,
            STATUS: None if word is None else NUMBER_OF[word],
        }
    )


def project(values: Values) -> Values:
    """The server's words; nothing is said of a deletion, which is told as Canceled."""
    return replace(values, status=VOCABULARY.project(values.status), deleted=None, deleted_at=None)


LAYOUT: Final = Layout(
    name=NAME,
    id_key="msdyn_workorderid",
    keys=frozenset(
        {"msdyn_workorderid", STATUS, "createdon", "modifiedon", "msdyn_workordersummary", "msdyn_instructions"}
    ),
    validate=validate,
    to_record=to_record,
    to_json=to_json,
    project=project,
)
