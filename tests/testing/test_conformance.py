"""Every client of ours passes the conformance suite; and a client that is wrong does not."""

import pytest

from pipeline.clients import csv_folder, dynamics_fs, erp_json, maximo, rest_json, sap_pm
from pipeline.testing import ClientUnderTest, FolderStand, Habits, HttpStand
from pipeline.testing.conformance import *  # noqa: F403 - the suite's own tests
from tests.asking import numbering

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

OURS = {
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
        connect=numbering,
        samples=[*STATUS],
        stand=lambda: HttpStand(
            options={"find": "?externalRef={number}"},
            habits=Habits(numbers=lambda count: 400000 + count, reference="externalRef", honours_keys=False),
        ),
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
