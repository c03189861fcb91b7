"""Every client of ours passes the conformance suite; and a client that is wrong does not."""

import tomllib

import pytest

from pipeline.clients import csv_folder, dynamics_fs, erp_json, maximo, rest_json, sap_pm
from pipeline.testing import ClientUnderTest, FolderStand, Habits, HttpStand
from pipeline.testing.conformance import *  # noqa: F403 - the suite's own tests
from tests.asking import Numbering

WHEN = {"createdAt": "2026-10-01T08:00:00Z", "updatedAt": "2026-10-02T09:30:00-03:00"}
WORDS = ["NEW", "PENDING", "IN_PROGRESS", "ON_HOLD", "DONE", "CANCELLED"]
FLAGS = ["isActive", "isPending", "isDone", "isOnHold", "isCanceled", "isDeleted"]

STATUS = [{"id": number, "status": word, "title": f"t{number}", **WHEN} for number, word in enumerate(WORDS)]
FLAG = [
    {"orderNo": 10 + number, flag: True, "summary": "s", "creationDate": "2026-10-01", "lastUpdateDate": "2026-10-02"}
    for number, flag in enumerate(FLAGS)
]
MAXIMO = [
    {"wonum": f"1{number}", "status": word, "description": "Pump", "reportdate": "2026-10-01T08:00:00-03:00"}
    | {"changedate": "2026-10-02T08:00:00-03:00", "siteid": "BEDFORD"}
    for number, word in enumerate(["WAPPR", "APPR", "WSCH", "WMATL", "WPCOND", "INPRG", "COMP", "CLOSE", "CAN"])
]
SAP = [
    {"MaintenanceOrder": f"400000{number}", "MaintenanceOrderDesc": "Pump", "SystemStatus": codes}
    | {"CreationDateTime": "2026-10-01T08:00:00Z", "LastChangeDateTime": "2026-10-02T08:00:00Z"}
    for number, codes in enumerate(["CRTD MANC", "REL NMAT CANC", "REL PCNF", "REL CNF", "TECO", "CLSD", "TECO DLFL"])
]
DYNAMICS = [
    {"msdyn_workorderid": f"0000000{number}-0000-4000-8000-000000000000", "msdyn_systemstatus": 690970000 + number}
    | {"msdyn_workordersummary": "Pump", "createdon": "2026-10-01T08:00:00Z", "modifiedon": "2026-10-02T08:00:00Z"}
    for number in range(6)
]
CSV = [
    b"id;status;createdAt;updatedAt;title\r\n%d;%s;01.10.2026 08:00:00;;t\r\n" % (number, word.encode())
    for number, word in enumerate(WORDS)
]

TABLE = tomllib.loads(
    """
id = "workOrder.ref"
reference = "workOrder.extRef"
created_at = { at = "workOrder.dates.opened", format = "%d/%m/%Y %H:%M" }
updated_at = "workOrder.dates.touched"
title = "workOrder.text"
deleted = { at = "workOrder.void", when = true }
where = { "workOrder.plant" = ["A1", "A2"] }

[status]
at = "workOrder.state.code"
words = { OPN = "created", APP = "pending", WIP = "in_progress", HLD = "on_hold", CLS = "completed", CAN = "cancelled" }
tell = { on_hold = "HLD" }
steps = { CLS = [] }

[fields]
priority = { at = "workOrder.prio", words = { "1" = "high", "2" = "medium", "3" = "low" } }
assetId = "workOrder.asset.code"
dueDate = { at = "workOrder.dates.due", kind = "time" }
estimatedHours = { at = "workOrder.hours", kind = "number" }
requiresShutdown = { at = "workOrder.stop", kind = "flag", true = "Y", false = "N" }

[constants]
"workOrder.source" = "TRACOS"
"""
)
NESTED = [
    {
        "workOrder": {
            "ref": f"W-{number}",
            "dates": {"opened": "01/10/2026 08:30", "touched": "2026-10-02T08:00:00Z", "due": "2026-11-01"},
            "text": "Pump",
            "state": {"code": word, "by": "AS"},
            "void": number == 6,
            "plant": "A1",
            "prio": 1 + number % 3,
            "asset": {"code": "P-7", "name": "Pump 7"},
            "hours": number / 2,
            "stop": "Y" if number % 2 else "N",
        }
    }
    for number, word in enumerate(["OPN", "APP", "WIP", "HLD", "CLS", "CAN", "OPN"])
]

ROWS = tomllib.loads(
    """
id = "Auftrag Nr."
reference = "Fremdnummer"
created_at = { at = "Angelegt", format = "%d.%m.%Y %H:%M" }
title = "Kurztext"
deleted = { at = "Storno", when = "J", otherwise = "N" }

[status]
at = "Status"
words = { "10" = "created", "20" = "pending", "30" = "in_progress", "35" = "on_hold", "40" = "completed", "90" = "cancelled" }

[fields]
priority = { at = "Prio", words = { "1" = "high", "2" = "low" } }
estimatedHours = { at = "Stunden", kind = "number", decimal_comma = true }
requiresShutdown = { at = "Stillstand", kind = "flag" }
dueDate = { at = "Termin", kind = "time", format = "%d.%m.%Y" }
"""  # noqa: E501 - as TOML wants it, on one line
)
HEADS = "Auftrag Nr.;Status;Angelegt;Kurztext;Prio;Stunden;Stillstand;Termin;Storno"
GERMAN = [
    f"{HEADS}\r\n{number};{word};01.10.2026 08:00;Späne;1;2,5;true;31.12.2026;N\r\n".encode()
    for number, word in enumerate([10, 20, 30, 35, 40, 90], 1)
]

OURS = {
    "a table over rows": ClientUnderTest(
        connect=csv_folder.connect,
        samples=[*GERMAN, GERMAN[0].replace(b"\n1;", b"\n7;").replace(b";N", b";J")],
        stand=lambda: FolderStand(".csv"),
        options={"delimiter": ";"},
        layouts={"rows": ROWS},
    ),
    "a table over HTTP": ClientUnderTest(
        connect=rest_json.connect,
        samples=NESTED,
        stand=lambda: HttpStand("workOrder.ref", "workOrder.dates.touched", {"updated": "workOrder.dates.touched"}),
        layouts={"acme": TABLE},
    ),
    "a table over HTTP, numbered there": ClientUnderTest(
        connect=rest_json.connect,
        samples=NESTED,
        stand=lambda: HttpStand(
            "workOrder.ref",
            "workOrder.dates.touched",
            {"updated": "workOrder.dates.touched", "ids": "client", "find": "?workOrder.extRef={number}"},
            habits=Habits(numbers=lambda count: f"N-{count:06}", reference="workOrder.extRef", answers="location"),
        ),
        layouts={"acme": TABLE},
    ),
    "a table": ClientUnderTest(connect=erp_json.connect, samples=NESTED, layouts={"acme": TABLE}),
    "erp_json": ClientUnderTest(connect=erp_json.connect, samples=[*STATUS, *FLAG]),
    "csv_folder": ClientUnderTest(
        connect=csv_folder.connect,
        samples=CSV,
        stand=lambda: FolderStand(".csv"),
        options={"delimiter": ";", "date_format": "%d.%m.%Y %H:%M:%S"},
    ),
    "rest_json": ClientUnderTest(connect=rest_json.connect, samples=[*STATUS], stand=HttpStand),
    "rest_json, by PUT": ClientUnderTest(
        connect=rest_json.connect,
        samples=[*STATUS],
        stand=lambda: HttpStand(options={"push": "PUT"}, habits=Habits(cap=1, gone=410)),
    ),
    "rest_json, numbered there": ClientUnderTest(
        connect=rest_json.connect,
        samples=[*STATUS],
        stand=lambda: HttpStand(
            options={"ids": "client"}, habits=Habits(numbers=lambda count: 400000 + count, answers="location", cap=1)
        ),
    ),
    "rest_json, asked": ClientUnderTest(
        connect=Numbering.connect,
        samples=[*STATUS],
        stand=lambda: HttpStand(
            options={"find": "?externalRef={number}"},
            habits=Habits(numbers=lambda count: 400000 + count, reference="externalRef", honours_keys=False),
        ),
    ),
    "rest_json, late": ClientUnderTest(
        connect=rest_json.connect, samples=[*STATUS], stand=lambda: HttpStand(habits=Habits(late=3))
    ),
    "rest_json, texts its own way": ClientUnderTest(
        connect=rest_json.connect,
        samples=[*STATUS],
        stand=lambda: HttpStand(habits=Habits(renders=("trim", "upper", "escape"))),
    ),
    "maximo": ClientUnderTest(
        connect=maximo.connect,
        samples=MAXIMO,
        stand=lambda: HttpStand("wonum", "changedate", habits=Habits(numbers=lambda count: f"{5000 + count}")),
        options={"site": "BEDFORD"},
    ),
    "sap_pm": ClientUnderTest(
        connect=sap_pm.connect,
        samples=SAP,
        stand=lambda: HttpStand(
            "MaintenanceOrder",
            "LastChangeDateTime",
            habits=Habits(numbers=lambda count: f"{count:012}", csrf=True, cap=1),
        ),
    ),
    "dynamics_fs": ClientUnderTest(
        connect=dynamics_fs.connect,
        samples=DYNAMICS,
        stand=lambda: HttpStand(
            "msdyn_workorderid",
            "modifiedon",
            habits=Habits(numbers=lambda count: f"10000000-0000-4000-8000-{count:012}", gone=410),
        ),
    ),
}


@pytest.fixture(params=OURS)
def under_test(request):
    return OURS[request.param]
