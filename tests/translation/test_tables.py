"""Tables: nested records are read with all that is wrong, told, and compared as they would be read back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.errors import Rejected
from pipeline.orders.workorder import Kind, Record, Status, Values, WorkOrder
from pipeline.translation import dynamics_fs, flag_order, maximo, sap_pm, status_order
from pipeline.translation.codecs import Flag, Id, Number, Reference, Text, Time, Words
from pipeline.translation.engine import layout_of
from pipeline.translation.table import At, DeletedAt, StatusAt, Table, at

BERLIN = ZoneInfo("Europe/Berlin")
WORDS = {
    "OPN": Status.CREATED,
    "APP": Status.PENDING,
    "WIP": Status.IN_PROGRESS,
    "HLD": Status.ON_HOLD,
    "CLS": Status.COMPLETED,
    "CAN": Status.CANCELLED,
}
NESTED = Table(
    name="nested",
    id=at("workOrder.ref", Id()),
    reference=at("workOrder.extRef", Reference()),
    status=StatusAt(path=("workOrder", "state", "code"), words=WORDS, steps={"CLS": ()}),
    created_at=at("workOrder.dates.opened", Time("%d/%m/%Y %H:%M"), required=True),
    updated_at=at("workOrder.dates.touched", Time()),
    title=at("workOrder.text", Text(20)),
    deleted=DeletedAt(("workOrder", "void")),
    more={
        "priority": at("workOrder.prio", Words({"1": "high", "2": "low"}, are_numbers=True)),
        "dueDate": at("workOrder.dates.due", Time("%Y-%m-%d")),
        "estimatedHours": at("workOrder.hours", Number()),
        "requiresShutdown": At(("workOrder", "a.b"), Flag("Y", "N")),
        "assetId": at("workOrder.asset.code", told="changed"),
    },
    where={("workOrder", "plant"): ("A1", 2)},
    constants={("workOrder", "source"): "TRACOS"},
)
LAYOUT = layout_of(NESTED, BERLIN)
SAID = {
    "workOrder": {
        "ref": 7,
        "extRef": "T-7",
        "dates": {"opened": "01/10/2026 08:30", "touched": None, "due": "2026-11-01"},
        "text": "Pump",
        "state": {"code": "WIP"},
        "plant": "A1",
        "prio": 1,
        "hours": "2.50",
        "a.b": "Y",
        "asset": {"code": "P-7"},
    }
}


def changed(**fields):
    return {"workOrder": {**SAID["workOrder"], **fields}}


def told(record, layout=LAYOUT):
    return msgspec.json.decode(layout.to_json(record))


def test_a_nested_record_is_read():
    record = LAYOUT.validate(SAID, BERLIN)
    assert (record.external_id, record.reference, record.layout) == (7, "T-7", "nested")
    assert record.order == WorkOrder(
        number=7,
        title="Pump",
        status=Status.IN_PROGRESS,
        created_at=datetime(2026, 10, 1, 6, 30, tzinfo=UTC),
        deleted=False,
        more={
            "priority": "high",
            "dueDate": datetime(2026, 10, 31, 23, tzinfo=UTC),
            "estimatedHours": 2.5,
            "requiresShutdown": True,
            "assetId": "P-7",
        },
    )
    assert LAYOUT.fields == {
        "priority": Kind.TEXT,
        "dueDate": Kind.TIME,
        "estimatedHours": Kind.NUMBER,
        "requiresShutdown": Kind.FLAG,
        "assetId": Kind.TEXT,
    }
    assert LAYOUT.has_reference


def test_it_is_told_as_it_was_read():
    record = LAYOUT.validate(SAID, BERLIN)
    said = told(record)["workOrder"]
    assert list(said) == ["ref", "extRef", "text", "state", "dates", "prio", "hours", "a.b", "asset", "void", "source"]
    assert (said["extRef"], said["void"], said["source"]) == (7, False, "TRACOS")
    assert said["dates"] == {"opened": "01/10/2026 08:30", "due": "2026-11-01"}
    again = told(replace(record, known=record.order.values))["workOrder"]
    assert "extRef" not in again, "the reference is told of a new order alone"
    assert "asset" not in again, "what has not changed"
    assert again["state"] == {"code": "WIP"}, "a word that alone means what it means is told again"
    unlinked = told(replace(record, is_linked=False))["workOrder"]
    assert "ref" not in unlinked
    assert unlinked["extRef"] == 7


def test_all_reasons_are_told_with_their_paths():
    wrong = {
        "ref": [],
        "dates": 5,
        "state": {"code": "ODD"},
        "text": 7,
        "void": "yes",
        "prio": 9,
        "hours": "x",
        "a.b": 1,
        "asset": "P-7",
    }
    with pytest.raises(Rejected) as caught:
        LAYOUT.validate({"workOrder": wrong}, UTC)
    reasons = {reason.path: reason.message for reason in caught.value.reasons}
    assert len(caught.value.reasons) == len(reasons)
    assert reasons.keys() == {
        *("$.workOrder.ref", "$.workOrder.dates", "$.workOrder.state.code", "$.workOrder.text", "$.workOrder.void"),
        *("$.workOrder.prio", "$.workOrder.hours", "$.workOrder['a.b']", "$.workOrder.asset", "$.workOrder.plant"),
    }
    assert reasons["$.workOrder.dates"] == "not an object"
    assert reasons["$.workOrder.plant"] == "required, but missing"
    with pytest.raises(Rejected, match=r"\$\.workOrder\.ref: required, but missing"):
        LAYOUT.validate({}, UTC)


def test_what_cannot_be_told_is_told_with_all_reasons():
    more = {"priority": "urgent", "dueDate": datetime(1900, 1, 1, tzinfo=UTC), "estimatedHours": "two"}
    order = WorkOrder(number=7, title="x" * 21, more=more)
    with pytest.raises(Rejected) as caught:
        LAYOUT.to_json(Record(order=order, external_id=7, layout="nested"))
    paths = [reason.path for reason in caught.value.reasons]
    assert sorted(paths) == ["$.createdAt", "$.dueDate", "$.estimatedHours", "$.priority", "$.status", "$.title"]


@pytest.mark.parametrize(("plant", "is_ours"), [("A1", True), (2, True), ("2", True), ("B", False), (None, True)])
def test_whose_a_record_is(plant, is_ours):
    assert LAYOUT.is_ours(changed(plant=plant)) is is_ours


def test_what_names_our_number_is_ours_though_it_does_not_say_whose_it_is():
    assert LAYOUT.validate(changed(plant=None), BERLIN).reference == "T-7"
    with pytest.raises(Rejected, match=r"\$\.workOrder\.plant: required, but null"):
        LAYOUT.validate(changed(plant=None, extRef=None), BERLIN)


def test_one_plant_alone_is_told_of_a_new_order():
    alone = layout_of(msgspec.structs.replace(NESTED, where={("workOrder", "plant"): ("A1",)}), BERLIN)
    record = alone.validate(SAID, BERLIN)
    assert told(record, alone)["workOrder"]["plant"] == "A1"
    assert "plant" not in told(replace(record, known=record.order.values), alone)["workOrder"]


def test_a_status_that_several_words_mean_is_not_told_again():
    """The client may hold the other word: telling it the first would change it."""
    words = {**WORDS, "ARC": Status.COMPLETED}
    layout = layout_of(msgspec.structs.replace(NESTED, status=StatusAt(path=("state",), words=words)), UTC)
    order = WorkOrder(number=7, status=Status.COMPLETED, created_at=datetime(2026, 10, 1, tzinfo=UTC))
    record = Record(order=order, external_id=7, layout="nested")
    assert told(record, layout)["state"] == "CLS"
    assert "state" not in told(replace(record, known=order.values), layout)


def test_a_status_without_a_word_is_told_when_the_table_is_made():
    with pytest.raises(ValueError, match="no word for cancelled: say in tell"):
        StatusAt(path=("s",), words={word: status for word, status in WORDS.items() if word != "CAN"})


def test_an_order_that_was_deleted_does_not_come_back_where_that_is_final():
    known = Values(status=Status.COMPLETED, deleted=True)
    order = WorkOrder(number="7", status=Status.COMPLETED, deleted=False)
    with pytest.raises(Rejected, match="DLFL or DLT may not become TECO; legal: none, it is final"):
        sap_pm.LAYOUT.to_json(Record(order=order, external_id="7", layout="sap_pm", known=known))


texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=20)
moments = st.integers(0, 10**9).map(lambda ms: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
LAYOUTS = [LAYOUT, *(module.LAYOUT for module in (status_order, flag_order, maximo, sap_pm, dynamics_fs))]


@given(
    layout=st.sampled_from(LAYOUTS),
    title=texts,
    description=texts,
    status=st.sampled_from(Status),
    deleted=st.booleans(),
    due=moments,
    hours=st.integers() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_values_are_compared_as_they_would_be_read_back(layout, title, description, status, deleted, due, hours):
    """The law: project(v) is read(write(v)), but for a status in whose place there is a word for deleted."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    order = WorkOrder(
        number="0ab1c2d3-0000-4000-8000-00000000abcd",
        title=title,
        description=description,
        status=status,
        created_at=begin,
        updated_at=begin,
        deleted=deleted,
        deleted_at=begin if deleted else None,
        more={"dueDate": due, "estimatedHours": hours, "priority": "low", "requiresShutdown": False, "unknown": "x"},
    )
    seen = layout.project(order.values)
    assert layout.project(seen) == seen
    assert "unknown" not in seen.more
    try:
        body = told(Record(order=order, external_id=order.number, layout=layout.name), layout)
    except Rejected:
        return
    body |= {"msdyn_workorderid": order.number, "createdon": "2026-01-01"} if layout is dynamics_fs.LAYOUT else {}
    if layout is LAYOUT:
        body["workOrder"]["plant"] = "A1"
    read = layout.validate(body, BERLIN).order.values
    assert replace(read, status=read.status or seen.status, deleted_at=None) == replace(seen, deleted_at=None)


def test_a_reference_that_could_not_be_told_is_refused_where_the_table_is_made():
    with pytest.raises(ValueError, match="nested: reference: its codec must be Reference"):
        replace(NESTED, reference=at("workOrder.extRef"))
