"""Dynamics 365 Field Service: GUIDs without regard to case, and what has none."""

from datetime import UTC, datetime

import pytest

from pipeline.clients import dynamics_fs
from pipeline.dataflow.locators import Locator
from pipeline.errors import Rejected
from pipeline.orders.workorder import Record, Status, Values, WorkOrder
from tests.asking import client_of, pull, push, told
from tests.scripted import Reply

GUID = "0ab1c2d3-0000-4000-8000-00000000abcd"


def record(order_id=GUID, **fields):
    times = {"createdon": "2026-10-01T08:00:00Z", "modifiedon": "2026-10-02T08:00:00Z"}
    return {"msdyn_workorderid": order_id, "msdyn_systemstatus": 690970000, "@odata.etag": 'W/"1"', **times} | fields


def dynamics_of(server, tmp_path, **options):
    return client_of(server, tmp_path, kind=dynamics_fs, items="value", **options)


def out(client, order_id=GUID, *, known=True, linked=True):
    order = WorkOrder(number=order_id, title="new", status=Status.CREATED, created_at=datetime(2026, 10, 1, tzinfo=UTC))
    before = Values(title="t", status=Status.CREATED) if known else None
    return client.from_record(
        Record(order=order, external_id=order_id, layout="dynamics_fs", known=before, is_linked=linked)
    )


@pytest.mark.parametrize("order_id", [GUID, GUID.upper(), f"{{{GUID}}}", GUID.title()])
def test_a_guid_is_one_in_any_case(erp, tmp_path, order_id):
    client = dynamics_of(erp, tmp_path)
    assert client.to_record(client.validate(record(order_id))).external_id == GUID
    assert out(client, order_id).id == GUID


async def test_the_same_order_twice_is_one(serve, tmp_path):
    client = dynamics_of(serve(lambda asked: {"value": [record(), record(GUID.upper())]}), tmp_path)
    async with client.source() as source:
        (group,) = [group async for group in source.read()]
    assert [item.locator for item in group] == [Locator(GUID), Locator(GUID, "#2")]


@pytest.mark.parametrize("order_id", [77, "77", "T-1", GUID[:-1], GUID + "0", GUID.replace("-", "")])
@pytest.mark.parametrize("known", [True, False])
def test_what_has_no_guid_is_told_before_anything_is_sent(erp, tmp_path, order_id, known):
    with pytest.raises(Rejected, match=r"\$\.number: an order's id must be a GUID to be told to Dynamics"):
        out(dynamics_of(erp, tmp_path), order_id, known=known)
    assert erp.requests == []


async def test_a_new_order_with_a_guid_is_put_under_it_and_over_no_other(serve, tmp_path):
    server = serve(lambda asked: Reply(record(), 201))
    client = dynamics_of(server, tmp_path, ids="shared")
    assert await push(client, out(client, GUID.upper(), known=False)) == ["sent"]
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.headers["if-none-match"]) == ("PATCH", f"/orders({GUID})", "*")
    assert (asked.headers["prefer"], "msdyn_systemstatus" in asked.query["$select"]) == ("return=representation", True)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(record(GUID.upper()), 201),
        Reply(b"", 204, {"OData-EntityId": f"https://x.example/api/data/v9.2/msdyn_workorders({GUID.upper()})"}),
    ],
    ids=["body", "OData-EntityId"],
)
async def test_an_order_born_in_tracos_is_posted_and_its_guid_learned(serve, tmp_path, reply):
    server = serve(lambda asked: reply)
    client = dynamics_of(server, tmp_path)
    result = await told(client, out(client, 77, known=False, linked=False))
    assert (list(result.outcomes), result.called) == (["sent"], {0: GUID})
    (asked,) = server.asked
    assert (asked.method, asked.path, "msdyn_workorderid" in asked.json) == ("POST", "/orders", False)


async def test_a_change_is_told_under_the_etag_that_was_seen(serve, tmp_path):
    server = serve(lambda asked: {"value": [record()]} if asked.method == "GET" else record())
    client = dynamics_of(server, tmp_path, params={"$filter": "statecode eq 0"})
    await pull(client)
    await pull(client)
    assert server.asked[-1].query["$filter"] == "(statecode eq 0) and modifiedon ge 2026-10-02T07:55:00.000Z"
    await push(client, out(client))
    assert server.asked[-1].headers["if-match"] == 'W/"1"'
