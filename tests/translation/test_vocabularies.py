"""The vendors' vocabularies: total, exclusive, their steps, and what is told where a step is none."""

from datetime import UTC, datetime

import msgspec
import pytest

from pipeline.errors import Rejected
from pipeline.orders.workorder import Record, Status, Values, WorkOrder
from pipeline.translation import dynamics_fs, maximo, sap_pm
from pipeline.translation.engine import layout_of

LAYOUTS = {module.LAYOUT.name: module for module in (maximo, sap_pm, dynamics_fs)}
NOW = datetime(2026, 10, 1, tzinfo=UTC)

every = pytest.mark.parametrize("name", LAYOUTS)


def told(name, now, known, **values):
    """What is told of an order that the client holds with the status ``known`` (None: it does not have it)."""
    order = WorkOrder(number="7", title="Pump", status=now, created_at=NOW, **values)
    before = None if known is None else Values(title="Pump", status=known)
    layout = LAYOUTS[name].LAYOUT
    return msgspec.json.decode(layout.to_json(Record(order=order, external_id="7", layout=name, known=before)))


def why(*args, **values):
    with pytest.raises(Rejected) as caught:
        told(*args, **values)
    return str(caught.value)


@every
def test_every_word_means_something_and_everything_has_a_word(name):
    place, project = LAYOUTS[name].TABLE.status, LAYOUTS[name].LAYOUT.project
    assert set(place.word_of) == set(Status)
    assert set(place.steps) == {*place.words, *place.deleted}
    for status, word in place.word_of.items():
        seen = project(Values(status=status))
        assert project(seen) == seen
        assert seen.status is place.words[word]
    for word, status in place.words.items():
        assert project(Values(status=status)).status is status, word


@every
@pytest.mark.parametrize("status", Status)
def test_a_status_that_has_not_changed_is_not_told(name, status):
    key = LAYOUTS[name].TABLE.status.path[0]
    assert key not in told(name, status, status)


@pytest.mark.parametrize(
    ("name", "known", "now", "word"),
    [
        ("maximo", Status.CREATED, Status.PENDING, "APPR"),
        ("maximo", Status.CREATED, Status.CANCELLED, "CAN"),
        ("maximo", Status.IN_PROGRESS, Status.COMPLETED, "COMP"),
        ("maximo", Status.ON_HOLD, Status.IN_PROGRESS, "INPRG"),
        ("sap_pm", Status.CREATED, Status.PENDING, "REL"),
        ("sap_pm", Status.IN_PROGRESS, Status.COMPLETED, "TECO"),
        ("sap_pm", Status.COMPLETED, Status.PENDING, "REL"),
        ("dynamics_fs", Status.CREATED, Status.IN_PROGRESS, 690970002),
        ("dynamics_fs", Status.PENDING, Status.CANCELLED, 690970005),
        ("dynamics_fs", Status.CANCELLED, Status.CREATED, 690970000),
    ],
)
def test_legal_steps(name, known, now, word):
    assert told(name, now, known)[LAYOUTS[name].TABLE.status.path[0]] == word


@pytest.mark.parametrize(
    ("name", "known", "now", "says"),
    [
        ("maximo", Status.CANCELLED, Status.CREATED, "$.status: CAN may not become WAPPR; legal: none, it is final"),
        (
            "maximo",
            Status.COMPLETED,
            Status.IN_PROGRESS,
            "COMP or CLOSE may not become INPRG; legal: CLOSE",
        ),
        ("maximo", Status.IN_PROGRESS, Status.CANCELLED, "INPRG may not become CAN; legal: WAPPR, WMATL, COMP, CLOSE"),
        ("sap_pm", Status.PENDING, Status.CREATED, "$.SystemStatus: REL may not become CRTD; legal: TECO"),
        ("sap_pm", Status.PENDING, Status.IN_PROGRESS, "REL may not become PCNF; legal: TECO"),
        ("dynamics_fs", Status.CANCELLED, Status.COMPLETED, "Canceled may not become Completed; legal: Unscheduled"),
    ],
)
def test_steps_that_the_client_would_refuse(name, known, now, says):
    assert says in why(name, now, known)


def test_what_a_new_order_may_begin_as():
    assert told("maximo", Status.CREATED, None)["status"] == "WAPPR"
    assert "a new order may not begin as COMP; legal: WAPPR, APPR" in why("maximo", Status.COMPLETED, None)
    assert told("dynamics_fs", Status.ON_HOLD, None)["msdyn_systemstatus"] == 690970002


def test_what_is_deleted_here_is_cancelled_there_or_flagged_where_that_is_legal():
    gone = {"deleted": True, "deleted_at": NOW}
    assert told("maximo", Status.CREATED, Status.CREATED, **gone)["status"] == "CAN"
    assert "INPRG may not become CAN" in why("maximo", Status.IN_PROGRESS, Status.IN_PROGRESS, **gone)
    assert told("dynamics_fs", Status.PENDING, Status.PENDING, **gone)["msdyn_systemstatus"] == 690970005
    assert told("sap_pm", Status.COMPLETED, Status.COMPLETED, **gone)["SystemStatus"] == "DLFL"
    assert "REL may not become DLFL; legal: TECO" in why("sap_pm", Status.PENDING, Status.PENDING, **gone)


@pytest.mark.parametrize(
    ("codes", "status", "deleted"),
    [
        ("CRTD MANC NTUP", Status.CREATED, False),
        ("REL  NMAT PRC  CANC", Status.PENDING, False),
        (["REL", "PCNF"], Status.IN_PROGRESS, False),
        ("REL CNF", Status.COMPLETED, False),
        ("TECO REL CNF", Status.COMPLETED, False),
        ("CLSD DLFL", Status.COMPLETED, True),
    ],
)
def test_saps_statuses_are_a_set_and_canc_is_no_cancellation(codes, status, deleted):
    data = {"MaintenanceOrder": "4000001", "SystemStatus": codes, "CreationDateTime": "2026-10-01T08:00:00Z"}
    record = sap_pm.LAYOUT.validate(data, UTC)
    assert (record.order.status, record.order.deleted) == (status, deleted)


@pytest.mark.parametrize("codes", [None, 5, "", "NMAT PRC", ["REL", 5], []])
def test_a_set_without_a_status_of_an_orders_life(codes):
    data = {"MaintenanceOrder": "4000001", "SystemStatus": codes, "CreationDateTime": "2026-10-01T08:00:00Z"}
    with pytest.raises(Rejected, match=r"\$\.SystemStatus"):
        sap_pm.LAYOUT.validate(data, UTC)


def test_saps_short_text_holds_forty_characters():
    order = WorkOrder(number="7", title="x" * 41, status=Status.CREATED, created_at=NOW)
    with pytest.raises(Rejected, match="40 characters"):
        sap_pm.LAYOUT.to_json(Record(order=order, external_id="7", layout="sap_pm"))


@pytest.mark.parametrize("number", [None, "690970000", 690970006, True, 1.5])
def test_dynamics_numbers(number):
    data = {"msdyn_workorderid": "a", "msdyn_systemstatus": number, "createdon": "2026-10-01T08:00:00Z"}
    with pytest.raises(Rejected, match="690970003 Completed"):
        dynamics_fs.LAYOUT.validate(data, UTC)


RECORDS = {
    "maximo": {"wonum": "7", "status": "APPR"},
    "sap_pm": {"MaintenanceOrder": "7", "SystemStatus": "REL", "CreationDateTime": "2026-10-01"},
    "dynamics_fs": {"msdyn_workorderid": "7", "msdyn_systemstatus": 690970001, "createdon": "2026-10-01"},
}
OTHERS = {
    "maximo": {
        "wopriority": 2,
        "assetnum": "P-7",
        "worktype": "CM",
        "lead": "ANNE",
        "actstart": "2026-10-02T08:00:00Z",
    },
    "sap_pm": {"MaintPriority": "2", "Equipment": "P-7", "MaintOrdBasicEndDateTime": "2026-10-02T08:00:00Z"},
    "dynamics_fs": {"msdyn_timetopromised": "2026-10-02T08:00:00Z"},
}


@every
def test_other_fields_are_read_and_told_where_they_have_changed(name):
    layout = LAYOUTS[name].LAYOUT
    assert layout.validate({**RECORDS[name], **dict.fromkeys(OTHERS[name])}, UTC).order.more == {}
    assert layout.validate({**RECORDS[name], "assetnum": "", "Equipment": ""}, UTC).order.more == {}
    order = layout.validate(RECORDS[name] | OTHERS[name], UTC).order
    assert len(order.more) == len(OTHERS[name])
    record = Record(order=order, external_id="7", layout=name, known=order.values)
    assert not msgspec.json.decode(layout.to_json(record)).keys() & OTHERS[name].keys()
    before = msgspec.structs.replace(order.values, more={})
    told = msgspec.json.decode(layout.to_json(msgspec.structs.replace(record, known=before)))
    assert layout.validate(RECORDS[name] | told, UTC).order.more == order.more


def test_saps_own_name_of_the_statuses():
    data = {"MaintenanceOrder": "7", "CreationDateTime": "2026-10-01", "SystemStatusText": "REL  CNF  GMPS MANC PRC"}
    assert sap_pm.LAYOUT.validate(data, UTC).order.status is Status.COMPLETED


def test_the_orders_of_a_plant():
    layout = layout_of(sap_pm.table_of(plants=["1710"]))
    data = {**RECORDS["sap_pm"], "MaintenancePlanningPlant": "1710"}
    assert layout.is_ours(data)
    assert not layout.is_ours(data | {"MaintenancePlanningPlant": "1010"})
    order = WorkOrder(number="7", status=Status.CREATED, created_at=NOW)
    told = msgspec.json.decode(layout.to_json(Record(order=order, external_id="7", layout="sap_pm")))
    assert told["MaintenancePlanningPlant"] == "1710"
