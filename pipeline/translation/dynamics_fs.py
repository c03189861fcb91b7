"""The layout ``dynamics_fs``: work orders of Dynamics 365 Field Service (table msdyn_workorder, Dataverse Web API).

Sources: the system statuses and what they mean, Microsoft's "Work order status concepts: system status and substatus"
(2023); the numbers of msdyn_systemstatus, pearsongang.com "MB240 study notes: statuses" (2025): open are Unscheduled
to Completed, closed are Posted and Canceled. An order on hold is one in progress with a substatus, a record of each
site's own: it is told as In Progress, and stays on hold here. Not checked in a public source: which steps the server
itself refuses; here every step between open statuses is legal, Posted is final, and Canceled may be opened again as
Unscheduled.

Of other fields the window that was promised to the account is here (Microsoft's "msdyn_workorder Entity Reference").
Priority, type, asset and functional location are records of their own: Dataverse shows their GUIDs under one key
(``_msdyn_priority_value``) and is told them under another (``msdyn_priority@odata.bind``), which no table can say. The
actual dates come of bookings.

An order's id is its msdyn_workorderid, a GUID, by which the API addresses it; in capitals it is the same.
"""

import re
from datetime import tzinfo
from typing import Any, Final

from pipeline.orders.workorder import ExternalId, Status
from pipeline.translation.codecs import Id, Time
from pipeline.translation.engine import layout_of
from pipeline.translation.table import StatusAt, Table, at, others

__all__ = ["LAYOUT", "TABLE", "guid"]

_GUID: Final = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")

OPEN: Final = ("Unscheduled", "Scheduled", "In Progress", "Completed")
NUMBERS: Final = dict(enumerate((*OPEN, "Posted", "Canceled"), 690970000))
KNOWN: Final = ", ".join(f"{number} {word}" for number, word in NUMBERS.items())
REQUIRED: Final = f"required: the number of a system status; known: {KNOWN}"


class Guid(Id, frozen=True):
    """An id that is the same in capitals and in small letters."""

    def read(self, said: Any, zone: tzinfo) -> ExternalId | None:
        found = super().read(said, zone)
        return found if found is None else guid(found) or found


def guid(order_id: ExternalId) -> str | None:
    """A GUID as Dataverse writes it, in small letters and without braces; None for what is none."""
    found = _GUID.fullmatch(order_id) if isinstance(order_id, str) else None
    return found[1].lower() if found else None


TABLE: Final = Table(
    name="dynamics_fs",
    id=at("msdyn_workorderid", Guid(), "never"),
    status=StatusAt(
        path=("msdyn_systemstatus",),
        words={
            "Unscheduled": Status.CREATED,
            "Scheduled": Status.PENDING,
            "In Progress": Status.IN_PROGRESS,
            "Completed": Status.COMPLETED,
            "Posted": Status.COMPLETED,  # invoiced, closed
            "Canceled": Status.CANCELLED,
        },
        codes=NUMBERS,
        plain=False,
        tell={Status.ON_HOLD: "In Progress"},
        steps={
            **dict.fromkeys(OPEN[:3], (*OPEN, "Canceled")),
            "Completed": (*OPEN, "Posted", "Canceled"),
            "Posted": (),
            "Canceled": ("Unscheduled",),
        },
        told="changed",
        expected=REQUIRED,
        unknown=REQUIRED,
    ),
    created_at=at("createdon", Time(), "never", required=True),
    updated_at=at("modifiedon", Time(), "never"),
    title=at("msdyn_workordersummary"),
    description=at("msdyn_instructions"),
    more=others(plannedStart=("msdyn_timefrompromised", Time()), plannedEnd=("msdyn_timetopromised", Time())),
)

LAYOUT: Final = layout_of(TABLE)
