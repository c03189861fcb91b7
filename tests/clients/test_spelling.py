"""Tables as settings spell them: what they become, what is wrong with them, and clients made of nothing else."""

import asyncio
import os
import tomllib
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.clients import erp_json, rest_json
from pipeline.clients.connector import ClientSettings
from pipeline.clients.spelling import WrongTable, table_of
from pipeline.clients.table_keys import OPTIONS, TABLES
from pipeline.errors import Rejected, WrongSettings
from pipeline.orders.workorder import Record, Status, Values, WorkOrder
from pipeline.testing.model import Model
from pipeline.translation.codecs import Flag, Id, Number, Reference, Text, Time, Words
from pipeline.translation.engine import layout_of
from pipeline.translation.table import At, DeletedAt, StatusAt, Table, at
from tests.asking import pull, push
from tests.scripted import Reply

ACME = """
id = "workOrder.ref"
reference = "workOrder.extRef"
created_at = { at = "workOrder.dates.opened", format = "%d/%m/%Y %H:%M" }
updated_at = "workOrder.dates.touched"
title = { at = "workOrder.text", max = 40 }
status = { at = "state", words = { O = "created", P = "pending", W = "in_progress", C = "completed", X = "cancelled" }, tell = { on_hold = "W" }, steps = { C = [] }, first = ["O"] }
deleted = { at = "workOrder.void", when = "X" }
where = { "workOrder.plant" = ["A1", "A2"], "workOrder.company" = 7 }

[fields]
priority = { at = "workOrder.prio", words = { "1" = "high", "2" = "medium", "3" = "low" } }
assetId = ["workOrder", "asset.code"]
dueDate = { at = "workOrder.dates.due", kind = "time", told = "changed" }
estimatedHours = { at = "workOrder.hours", kind = "number" }
requiresShutdown = { at = "workOrder.stop", kind = "flag", true = "Y", false = "N" }

[constants]
"workOrder.source" = "TRACOS"
"""  # noqa: E501 - as TOML wants it, on one line


def test_what_a_table_becomes():
    words = ["created", "pending", "in_progress", "completed", "cancelled"]
    assert table_of("acme", tomllib.loads(ACME)) == Table(
        name="acme",
        id=at("workOrder.ref", Id()),
        reference=at("workOrder.extRef", Reference()),
        status=StatusAt(
            path=("state",),
            words=dict(zip("OPWCX", map(Status, words), strict=True)),
            tell={Status.ON_HOLD: "W"},
            steps={"C": ()},
            first=("O",),
        ),
        created_at=at("workOrder.dates.opened", Time("%d/%m/%Y %H:%M"), required=True),
        updated_at=at("workOrder.dates.touched", Time()),
        title=at("workOrder.text", Text(40)),
        deleted=DeletedAt(("workOrder", "void"), "X", ""),
        more={
            "priority": at("workOrder.prio", Words({"1": "high", "2": "medium", "3": "low"}, are_numbers=True)),
            "assetId": At(("workOrder", "asset.code")),
            "dueDate": at("workOrder.dates.due", Time(), "changed"),
            "estimatedHours": at("workOrder.hours", Number()),
            "requiresShutdown": at("workOrder.stop", Flag("Y", "N")),
        },
        where={("workOrder", "plant"): ("A1", "A2"), ("workOrder", "company"): (7,)},
        constants={("workOrder", "source"): "TRACOS"},
    )


LEAST = """
id = "ref"
[status]
at = "state"
words = { "1" = "created", "2" = "pending", "3" = "in_progress", "4" = "on_hold", "5" = "completed", "6" = "cancelled" }
"""


def test_words_that_are_numbers_are_told_as_numbers():
    assert table_of("x", tomllib.loads(LEAST)).status.codes == dict(zip(range(1, 7), "123456", strict=True))
    assert table_of("x", tomllib.loads(LEAST + 'kind = "text"')).status.codes == {}


def test_flags_sets_and_words_for_what_is_deleted():
    said = tomllib.loads(LEAST)
    said["status"] = {"form": "flags", "words": {**said["status"]["words"], "gone": "deleted"}}
    table = table_of("x", said)
    assert (table.status.form, table.status.path, table.status.deleted) == ("flags", (), ("gone",))
    assert ("gone",) in table.paths


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"titel": "x"}, "titel: there is no such key; known: id, reference, .*; did you mean title?"),
        ({"id": None}, "id: required: where it is"),
        ({"id": "a..b"}, "id: no path"),
        ({"id": {"at": "ref", "knd": "text"}}, r"id\.knd: there is no such key; known: at, kind; did you mean kind"),
        ({"id": {"at": "ref", "kind": "time"}}, r"id\.kind: there is no time; known: text, number"),
        ({"title": "ref"}, "title: id is in the same place"),
        ({"title": "ref.text"}, "title: id is in the same place"),
        ({"title": {"at": "t", "max": 0}}, r"title\.max: expected a number of characters"),
        (
            {"created_at": {"at": "c", "format": "%d.%m."}},
            r"created_at\.format: what it writes is not read as the same",
        ),
        ({"created_at": {"at": "c", "format": 5}}, r"created_at\.format: "),
        ({"created_at": {"at": "c", "told": "never"}}, r"created_at\.told: there is no never; known: always"),
        (
            {"updated_at": {"at": "c", "told": "changed"}},
            r"updated_at\.told: there is no changed; known: always, create",
        ),
        ({"fields": {"x": {"at": "n", "told": "create"}}}, r"fields\.x\.told: there is no create; known: always, chan"),
        ({"created_at": {"at": "c", "required": "no"}}, r"created_at\.required: expected true or false"),
        ({"deleted": "d", "deleted_at": "e"}, "deleted_at: there is deleted as well"),
        ({"deleted": {"at": "d", "when": True, "otherwise": True}}, r"deleted\.otherwise: expected another value"),
        ({"deleted": {"at": "d", "when": []}}, r"deleted\.when: expected a text"),
        ({"where": {"plant": []}}, r"where\.plant: expected a value, or several in a list"),
        ({"where": {"plant": [{}]}}, r"where\.plant: expected a text"),
        ({"where": 5}, "where: expected a table"),
        ({"constants": {"state": "x"}}, r"constants\.state: status is in the same place"),
        ({"constants": {"s": []}}, r"constants\.s: expected a text"),
        ({"fields": {"number": "n"}}, r"fields\.number: has a key of its own"),
        ({"fields": {"isSynced": "n"}}, r"fields\.isSynced: has a key of its own, or is nobody's to write"),
        ({"fields": {"$x": "n"}}, r"fields\.\$x: no name of a field"),
        ({"fields": {"a.b": "n"}}, r"fields\.a\.b: no name of a field"),
        ({"fields": {"x": {"at": "n", "kind": "tex"}}}, r"fields\.x\.kind: there is no tex; .*did you mean text"),
        ({"fields": {"x": {"at": "n", "words": {}}}}, r"fields\.x\.words: expected words of the client"),
        ({"fields": {"x": {"at": "n", "words": {"a": 5}}}}, r"fields\.x\.words: expected words of the client"),
        ({"fields": {"x": {"at": "n", "words": {"a": "b"}, "tell": {"b": "c"}}}}, r"fields\.x\.tell\.b: there is no c"),
        ({"fields": {"x": {"at": "n", "kind": "flag", "true": "N", "false": "N"}}}, r"fields\.x\.true: expected two"),
        ({"fields": {"x": {"at": "n", "kind": "number", "format": "%Y"}}}, r"fields\.x\.format: there is no such key"),
        ({"fields": {"x": {"at": "n", "kind": "time", "format": "%H:%M"}}}, r"fields\.x\.format: what it writes"),
        ({"status": "state"}, "status: expected a table with at and words"),
        ({"status": {"at": "state"}}, r"status\.words: required, but missing"),
    ],
)
def test_mistakes(change, says):
    with pytest.raises(WrongTable, match=rf"layouts\.acme\.{says}") as caught:
        table_of("acme", tomllib.loads(LEAST) | change)
    assert len(caught.value.mistakes) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"words": {"A": "creatd"}}, r"words\.A: there is no creatd; .*; did you mean created"),
        ({"words": {"A": "created"}}, "words: no word for pending, in_progress, on_hold, completed, cancelled: say in"),
        ({"tell": {"holding": "1"}}, "tell: there is no holding; .*"),
        ({"tell": {"on_hold": "9"}}, r"tell\.on_hold: there is no 9; known: 1, 2, 3"),
        ({"steps": {"9": []}}, "steps: there is no 9"),
        ({"steps": {"1": ["9"]}}, r"steps\.1: there is no 9"),
        ({"steps": {"1": "2"}}, r"steps\.1: expected words in a list"),
        ({"first": ["9"]}, "first: there is no 9"),
        ({"form": "sets"}, r"form: there is no sets; .*; did you mean set"),
        ({"stps": {}}, r"stps: there is no such key; .*; did you mean steps"),
    ],
)
def test_mistakes_of_a_status(change, says):
    said = tomllib.loads(LEAST)
    said["status"] |= change
    with pytest.raises(WrongTable, match=rf"layouts\.acme\.status\.{says}") as caught:
        table_of("acme", said)
    assert len(caught.value.mistakes) == 1


def test_all_mistakes_are_told_at_once():
    with pytest.raises(WrongTable) as caught:
        table_of("acme", {"titel": "x", "fields": {"x": {}}})
    keys = [mistake.key for mistake in caught.value.mistakes]
    assert keys == [("titel",), ("id",), ("status",), ("fields", "x")]


anything = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "a", "a.b", "1", "created", "time", "%Y"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["at", "words", "kind", "a", "1", "on_hold", "format", "tell"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*OPTIONS, *TABLES, "odd"]), anything), st.booleans())
def test_whatever_is_spelled_it_is_a_table_or_a_mistake(said, is_row):
    try:
        layout = layout_of(table_of("x", said, is_row=is_row))
    except WrongTable as error:
        assert error.problems
        return
    for known in (None, Values(title="b", more={"a": "b"})):
        order = WorkOrder(number=1, title="a", status=Status.CREATED, more={"a": "a"}, deleted=True)
        with suppress(Rejected):
            layout.to_json(Record(order=order, external_id=1, layout="x", known=known))


def client_of(folder, layout, **layouts):
    options = {"inbound_dir": str(folder / "in"), "outbound_dir": str(folder / "out")}
    settings = ClientSettings(name="acme", layout=layout, layouts=layouts, options=options, state_dir=folder)
    return erp_json.connect(settings)


def test_a_client_speaks_the_table_that_its_layout_names(tmp_path):
    acme = tomllib.loads(LEAST)
    assert list(client_of(tmp_path, "acme", acme=acme).layouts) == ["acme"]
    assert list(client_of(tmp_path, "flag_order", acme=acme).layouts) == ["status_order", "flag_order"]
    assert list(client_of(tmp_path, None, acme=acme).layouts) == ["status_order", "flag_order"]
    with pytest.raises(WrongSettings, match="it has no such layout"):
        client_of(tmp_path, "acme")
    code = client_of(tmp_path, "acme", acme=acme).settings.code
    assert code != client_of(tmp_path, "acme", acme=acme | {"title": "text"}).settings.code, "it reads otherwise now"


def test_records_of_others_are_skipped_and_never_dead(tmp_path):
    client = client_of(tmp_path, "acme", acme=tomllib.loads(LEAST) | {"where": {"plant": "A"}})
    (tmp_path / "in").mkdir()
    for number, record in enumerate([{"plant": "A"}, {"plant": "B"}, {"plant": "B", "state": "odd"}, {}], 1):
        path = tmp_path / f"in/{number}.json"
        path.write_bytes(msgspec.json.encode({"ref": number, "state": 1, **record}))
        os.utime(path, (1_760_000_000, 1_760_000_000))
    model = Model()
    report = asyncio.run(model.pull(client))
    assert list(model.orders) == [1]
    assert (report.skipped, report.dead.total()) == (2, 1)


async def test_a_table_speaks_over_http_too(serve, tmp_path):
    """Nested records are listed, and an edit is told at the order's address, in the table's words."""
    record = {"workOrder": {"ref": "W/1", "state": 1, "text": "Pump", "touched": "2026-10-02T08:00:00Z"}}
    server = serve(lambda asked: {"items": [record]} if asked.method == "GET" else Reply(status=204))
    table = tomllib.loads(LEAST) | {
        "id": "workOrder.ref",
        "reference": "workOrder.ours",
        "title": "workOrder.text",
        "updated_at": "workOrder.touched",
    }
    table["status"]["at"] = "workOrder.state"
    options = {"url": server.url, "items": "items", "since_param": "since", "updated": "workOrder.touched"}
    settings = ClientSettings(
        name="acme",
        layout="acme",
        layouts={"acme": table},
        options=options,
        state_dir=tmp_path,
        secret=lambda name: None,
    )
    client = rest_json.connect(settings)
    (found,) = await pull(client)
    seen = client.to_record(client.validate(found))
    assert (seen.external_id, seen.order.title) == ("W/1", "Pump")
    await pull(client)
    assert server.asked[-1].query["since"] == "2026-10-02T07:55:00.000Z"
    edit = replace(seen, order=replace(seen.order, title="edited"), known=seen.order.values)
    assert await push(client, client.from_record(edit)) == ["sent"]
    told = server.asked[-1]
    assert (told.method, told.target) == ("PATCH", "/orders/W%2F1")
    assert told.json["workOrder"] == record["workOrder"] | {"text": "edited", "touched": "2026-10-02T08:00:00.000Z"}
