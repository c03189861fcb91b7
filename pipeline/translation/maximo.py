"""The layout ``maximo``: IBM Maximo's work orders as the object structure MXAPIWODETAIL shows them (lean JSON).

Sources: the statuses and what they mean, IBM's documentation "Work order statuses" (Maximo 7.6); the steps, IBM's
technote 11112013 "Allowable Status Changes for Work Orders", and for WSCH, which it lists only as a beginning, the
table of WOStatusHandler at bportaluri.com (2018). A site may allow less, by conditions on the domain WOSTATUS: its
refusal is then a dead letter too. Not checked in a public source: that a new order may begin as CAN, COMP or CLOSE;
here it may not.

Other fields are the attributes of WORKORDER (labels: maximo-reference.blogspot.com, "Work Order Tracking", 2023):
wopriority, assetnum, location, worktype, lead (the person in charge), schedstart, schedfinish, actstart, actfinish.
They are told where they have changed. Not checked in a public source: which of them a site's edit rules lock in which
status; its refusal is a dead letter. ``status_maxvalue`` is Maximo's own word behind one that a site has made up.

``wonum`` is taken as the order's id: it is unique within a site, so one client is one site. Maximo deletes no work
order that has been approved; what is deleted here is cancelled there.
"""

from collections.abc import Mapping
from typing import Final

from pipeline.orders.workorder import Status
from pipeline.translation.codecs import Id, Number, Time
from pipeline.translation.engine import layout_of
from pipeline.translation.table import StatusAt, Table, at, others

__all__ = ["LAYOUT", "TABLE", "table_of"]

WAITING: Final = ("WAPPR", "APPR", "WSCH", "WMATL", "WPCOND", "INPRG", "COMP", "CLOSE")


def table_of(words: Mapping[str, str] | None = None) -> Table:
    """The table of a site that has ``words`` of its own: Maximo's word -> the site's."""
    return Table(
        name="maximo",
        id=at("wonum", Id(as_text=True)),
        status=StatusAt(
            path=("status",),
            words={
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
            steps={
                "WAPPR": (*WAITING[1:], "CAN"),
                **dict.fromkeys(("APPR", "WSCH", "WMATL", "WPCOND"), WAITING),
                "INPRG": ("WAPPR", "WMATL", "COMP", "CLOSE"),
                "COMP": ("CLOSE",),
                "CLOSE": (),
                "CAN": (),
            },
            first=("WAPPR", "APPR", "WSCH", "WMATL", "WPCOND", "INPRG"),
            codes={said: word for word, said in (words or {}).items()},
            beside=("status_maxvalue",),
            told="changed",
        ),
        created_at=at("reportdate", Time(), "create"),  # Maximo allows an order without
        updated_at=at("changedate", Time(), "never"),
        title=at("description"),
        description=at("description_longdescription"),
        more=others(
            priority=("wopriority", Number()),
            assetId="assetnum",
            location="location",
            workType="worktype",
            assignee="lead",
            plannedStart=("schedstart", Time()),
            plannedEnd=("schedfinish", Time()),
            actualStart=("actstart", Time()),
            actualEnd=("actfinish", Time()),
        ),
    )


TABLE: Final = table_of()
LAYOUT: Final = layout_of(TABLE)
