"""The layout ``sap_pm``: maintenance orders of SAP plant maintenance, whose system statuses are a set.

Sources: the codes and their meanings, the list of system statuses of maintenance orders at sinausap.com (2017), where
CANC is "capacity availability not checked", and so no cancellation; what each status allows, SAP Help "System Status
for Orders" (technical completion is possible from CRTD on; a technically completed order takes a deletion flag); what
can be undone, the life cycle at pmmodule.blogspot.com (REL and DLFL cannot; CLSD only back to TECO). PCNF and CNF
come of time confirmations, which are SAP's own. The keys are those of the service API_MAINTENANCEORDER
(MaintenanceOrder, MaintenanceOrderDesc). Not checked in a public source: how a site's service names the set of
statuses and the two times (here SystemStatus, CreationDateTime, LastChangeDateTime), and that TECO may be taken back
to REL.

A service of OData 2 shows times as ``/Date(1793450205000+0000)/``: milliseconds since 1970 in UTC, with an offset for
display alone (odata.org, OData 2.0 "JSON Format"); an initial date (empty, or of zeros) means none.

SAP has no status for an order that is on hold or cancelled: those are told as REL and TECO, and stay what they are
here.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import ExternalId, Record, Status, Values, WorkOrder
from pipeline.translation.checks import Checks
from pipeline.translation.json import dump
from pipeline.translation.layout import Layout
from pipeline.translation.times import format_time, tell
from pipeline.translation.transitions import Vocabulary

__all__ = ["LAYOUT", "VOCABULARY", "SapPm", "in_odata_2", "plain_time"]

NAME: Final = "sap_pm"
SHORT_TEXT: Final = 40
"""Characters that an order's short text holds."""

TIMES: Final = ("CreationDateTime", "LastChangeDateTime")

_TICKS: Final = re.compile(r"/Date\((-?[0-9]{1,15})(?:[+-][0-9]{1,4})?\)/")

DELETED: Final = frozenset({"DLFL", "DLT"})

VOCABULARY: Final = Vocabulary(
    status_of={  # of several that are set, the first here counts
        "CLSD": Status.COMPLETED,  # business completion
        "TECO": Status.COMPLETED,  # technically completed
        "CNF": Status.COMPLETED,  # all work confirmed
        "PCNF": Status.IN_PROGRESS,  # some work confirmed
        "REL": Status.PENDING,  # released: the work can begin
        "CRTD": Status.CREATED,
    },
    word_of={
        Status.CREATED: "CRTD",
        Status.PENDING: "REL",
        Status.IN_PROGRESS: "PCNF",
        Status.ON_HOLD: "REL",
        Status.COMPLETED: "TECO",
        Status.CANCELLED: "TECO",
    },
    steps={
        "CRTD": ("REL", "TECO"),
        "REL": ("TECO",),
        "PCNF": ("TECO",),
        "CNF": ("TECO",),
        "TECO": ("REL", "CLSD", "DLFL"),
        "CLSD": ("TECO", "DLFL"),
    },
    first=("CRTD", "REL"),
    key="SystemStatus",
)


class SapPm(Struct, frozen=True, kw_only=True):
    """A checked record of this layout, times in UTC."""

    order: ExternalId
    statuses: frozenset[str]
    created: datetime
    changed: datetime | None = None
    text: str | None = None


def validate(data: Mapping[str, Any], zone: tzinfo) -> SapPm:
    """Check one JSON object; raises Rejected with all reasons."""
    data = {**data, **{key: plain_time(data[key]) for key in TIMES if key in data}}
    checks = Checks(data, zone)
    said = data.get("SystemStatus")
    codes = said.split() if isinstance(said, str) else said
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        checks.wrong("required: the codes, as a text with spaces or as an array", "SystemStatus")
        codes = []
    elif not set(codes) & (VOCABULARY.status_of.keys() | DELETED):
        checks.wrong(
            f"no status of an order's life among them; known: {', '.join(VOCABULARY.status_of)}; codes depend on the "
            "language of the user: log on in EN (sap-language=EN)",
            "SystemStatus",
        )
    order = SapPm(
        order=checks.required_id("MaintenanceOrder"),
        statuses=frozenset(codes),
        created=checks.required_time("CreationDateTime"),
        changed=checks.time("LastChangeDateTime"),
        text=checks.text("MaintenanceOrderDesc"),
    )
    checks.done()
    return order


def plain_time(said: Any) -> Any:
    """A time of OData 2 as RFC 3339, an initial one as None; anything else as it is."""
    if not isinstance(said, str):
        return said
    ticks = _TICKS.fullmatch(said)
    if ticks is None:
        return said if said.strip("0") else None
    try:
        return format_time(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(ticks[1])))
    except OverflowError:
        return said


def in_odata_2(body: bytes) -> bytes:
    """What ``to_json`` made, with its times as OData 2 writes them."""
    data = msgspec.json.decode(body)
    for key in TIMES:
        if key in data:
            since = datetime.fromisoformat(data[key]) - datetime.fromtimestamp(0, UTC)
            data[key] = f"/Date({since // timedelta(milliseconds=1)}+0000)/"
    return dump(data)


def to_record(order: SapPm) -> Record:
    """The checked record in canonical words."""
    status = next((meaning for code, meaning in VOCABULARY.status_of.items() if code in order.statuses), None)
    deleted = bool(order.statuses & DELETED)
    canonical = WorkOrder(
        number=order.order,
        title=order.text,
        status=status,
        created_at=order.created,
        updated_at=order.changed,
        deleted=deleted,
        deleted_at=order.changed if deleted else None,
    )
    return Record(order=canonical, external_id=order.order, layout=NAME)


def to_json(record: Record) -> bytes:
    """What to tell SAP; without a status where that has not changed. Raises Rejected for what it would refuse."""
    order, known = record.order, record.known
    if order.title is not None and len(order.title) > SHORT_TEXT:
        raise Rejected(Reason(f"more than the {SHORT_TEXT} characters of a short text", "$.title"))
    if order.deleted and known is not None and known.status is not None:
        status = None if known.deleted else VOCABULARY.step(known.status, "DLFL")
    else:
        status = VOCABULARY.word(record)
    return dump(
        {
            "MaintenanceOrder": str(record.external_id),
            "MaintenanceOrderDesc": order.title,
            "SystemStatus": status,
            "CreationDateTime": tell(order.created_at) if known is None else None,
        }
    )


def project(values: Values) -> Values:
    """What SAP can say: no description, and of the statuses its own."""
    return replace(values, status=VOCABULARY.project(values.status), description=None)


LAYOUT: Final = Layout(
    name=NAME,
    id_key="MaintenanceOrder",
    keys=frozenset(
        {"MaintenanceOrder", "MaintenanceOrderDesc", "SystemStatus", "CreationDateTime", "LastChangeDateTime"}
    ),
    validate=validate,
    to_record=to_record,
    to_json=to_json,
    project=project,
)
