"""The layout ``sap_pm``: maintenance orders of SAP plant maintenance, whose system statuses are a set.

Sources: the codes and their meanings, the list of system statuses of maintenance orders at sinausap.com (2017), where
CANC is "capacity availability not checked", and so no cancellation; what each status allows, SAP Help "System Status
for Orders" (technical completion is possible from CRTD on; a technically completed order takes a deletion flag); what
can be undone, the life cycle at pmmodule.blogspot.com (REL and DLFL cannot; CLSD only back to TECO). PCNF and CNF
come of time confirmations, which are SAP's own. The keys are those of the service API_MAINTENANCEORDER
(MaintenanceOrder, MaintenanceOrderDesc). Not checked in a public source: how a site's service names the set of
statuses and the two times (here SystemStatus, CreationDateTime, LastChangeDateTime), and that TECO may be taken back
to REL.

Other fields are those of the same service, as its sandbox shows them (github.com/latonaio,
sap-api-integrations-maintenance-order-reads, 2021), which has the statuses in SystemStatusText: read, where there is no
SystemStatus. They are told where they have changed; the actual dates come of confirmations, which are SAP's own. Not
checked in a public source: that all of them may be changed in every status.

A service of OData 2 shows times as ``/Date(1793450205000+0000)/``: milliseconds since 1970 in UTC, with an offset for
display alone (odata.org, OData 2.0 "JSON Format"); an initial date (empty, or of zeros) means none.

SAP has no status for an order that is on hold or cancelled: those are told as REL and TECO, and stay what they are
here.
"""

from collections.abc import Sequence
from typing import Final

from pipeline.orders.workorder import Status
from pipeline.translation.codecs import Id, Text, Time
from pipeline.translation.engine import layout_of
from pipeline.translation.table import StatusAt, Table, at, others

__all__ = ["LAYOUT", "TABLE", "table_of"]


def table_of(form: str = "", plants: Sequence[str] = ()) -> Table:
    """The table of a service that is told times in ``form`` (both are read), for the orders of some planning plants."""
    return Table(
        name="sap_pm",
        id=at("MaintenanceOrder", Id(as_text=True)),
        status=StatusAt(
            path=("SystemStatus",),
            beside=("SystemStatusText",),
            form="set",
            words={
                "CLSD": Status.COMPLETED,  # business completion
                "TECO": Status.COMPLETED,  # technically completed
                "CNF": Status.COMPLETED,  # all work confirmed
                "PCNF": Status.IN_PROGRESS,  # some work confirmed
                "REL": Status.PENDING,  # released: the work can begin
                "CRTD": Status.CREATED,
            },
            deleted=("DLFL", "DLT"),
            tell={Status.ON_HOLD: "REL", Status.COMPLETED: "TECO", Status.CANCELLED: "TECO"},
            steps={
                "CRTD": ("REL", "TECO"),
                **dict.fromkeys(("REL", "PCNF", "CNF"), ("TECO",)),
                "TECO": ("REL", "CLSD", "DLFL"),
                "CLSD": ("TECO", "DLFL"),
                **dict.fromkeys(("DLFL", "DLT"), ()),
            },
            first=("CRTD", "REL"),
            told="changed",
            expected="required: the codes, as a text with spaces or as an array",
            unknown="no status of an order's life among them; known: CLSD, TECO, CNF, PCNF, REL, CRTD; codes depend on "
            "the language of the user: log on in EN (sap-language=EN)",
        ),
        created_at=at("CreationDateTime", Time(form), "create", required=True),
        updated_at=at("LastChangeDateTime", Time(form), "never"),
        title=at("MaintenanceOrderDesc", Text(40)),
        more=others(
            priority="MaintPriority",
            assetId="Equipment",
            location="FunctionalLocation",
            workType="MaintenanceOrderType",
            workCenter="MainWorkCenter",
            plannedStart=("MaintOrdBasicStartDateTime", Time(form)),
            plannedEnd=("MaintOrdBasicEndDateTime", Time(form)),
        ),
        where={("MaintenancePlanningPlant",): tuple(plants)} if plants else {},
    )


TABLE: Final = table_of()
LAYOUT: Final = layout_of(TABLE)
