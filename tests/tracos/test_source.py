"""Unsynced orders out of TracOS and their marks, on a real MongoDB."""

import random
from datetime import UTC, datetime

import pytest

from pipeline.dataflow.messages import Fate
from pipeline.errors import BudgetExceeded, Rejected
from pipeline.orders.workorder import Status
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.marks import Marker
from tests.places import deliver_all
from tests.tracos.orders import TERMS, at, envelope, order, taken, terms


@pytest.fixture
def source(tracos):
    return tracos.source(TERMS)


async def everything(source):
    return [item async for group in source.read() for item in group]


async def test_only_what_is_not_marked_true_is_read_and_missing_counts_as_false(source, orders):
    await orders.insert_many(
        [
            {"number": 1},
            {"number": 2, "isSynced": False},
            {"number": 3, "isSynced": None},
            {"number": 4, "isSynced": True},
        ]
    )
    assert {item.payload.readable["number"] for item in await everything(source)} == {1, 2, 3}


async def test_ids_of_every_kind_are_read(source, orders):
    kinds = ["text", 7, 7.5, datetime(2026, 1, 1, tzinfo=UTC), {"a": 1}, b"\0"]
    await orders.insert_many([{"_id": kind, "number": at} for at, kind in enumerate(kinds)])
    assert len(await everything(source)) == len(kinds)


async def test_it_reads_in_groups_and_misses_nothing_while_marks_go_on(source, orders):
    await orders.insert_many([{"number": number, "status": "created"} for number in range(2203)])
    seen = []
    async for group in source.read():
        assert len(group) <= 1000
        seen += [item.payload.readable["number"] for item in group]
        await deliver_all(source, group)
    assert sorted(seen) == list(range(2203))
    assert await orders.count_documents({"isSynced": True}) == 2203
    assert await everything(source) == []


async def test_an_acked_order_is_marked_with_what_was_sent(source, orders):
    await orders.insert_one({"number": 1, "status": "created", "title": "Pump", "createdAt": "2026-10-01"})
    (item,) = await everything(source)
    await deliver_all(source, [item])
    document = await orders.find_one({})
    assert document["isSynced"] is True
    assert document["syncedAt"].endswith("Z")
    assert "updatedAt" not in document
    assert document["sync"]["base"] == {"title": "Pump", "status": "created", "deleted": False}
    assert document["sync"]["sent"][0]["values"] == document["sync"]["base"]
    assert (document["sync"]["id"], document["sync"]["layout"]) == (1, "plain")


async def test_an_order_goes_back_in_the_layout_it_came_in_under_the_id_it_came_with(tracos, source, orders):
    sink = tracos.sink(terms("other"))
    await orders.insert_one({"number": 10, "title": "Pump"})
    await taken(sink, [envelope(order("10", layout="other"))])
    await orders.update_one({}, {"$set": {"title": "ours", "isSynced": False}})
    (item,) = await everything(source)
    record = source.to_record(item.payload)
    assert (record.layout, record.external_id, record.order.number) == ("other", "10", 10)


async def test_a_status_that_the_client_edited_while_both_had_deleted_the_order_is_taken_when_it_is_back(
    tracos, source, orders
):
    sink = tracos.sink(TERMS)
    await taken(sink, [envelope(order(1, updated=at(2)))])
    await orders.update_one({}, {"$set": {"deleted": True}})
    edited = order(1, updated=at(6), deleted=True, deleted_at=at(6), status=Status.COMPLETED)
    await taken(sink, [envelope(edited, "b.json")])
    await orders.update_one({}, {"$set": {"deleted": False, "isSynced": False}})
    (item,) = await everything(source)
    assert source.to_record(item.payload).order.status is Status.COMPLETED
    await deliver_all(source, [item])
    document = await orders.find_one({})
    assert (document["status"], document["isSynced"]) == ("completed", True)


async def test_a_status_there_that_nobody_knows_is_told(source, orders):
    sync = {"client": "erp", "id": 1, "layout": "plain", "passed": {"status": "nonsense"}}
    await orders.insert_one({"number": 1, "status": "created", "sync": sync})
    (item,) = await everything(source)
    with pytest.raises(Rejected, match="changed by somebody"):
        source.to_record(item.payload)


async def test_an_edit_made_while_sending_is_kept_and_sent_next_time(source, orders):
    await orders.insert_one({"number": 1, "status": "created", "title": "sent"})
    (item,) = await everything(source)
    await orders.update_one({}, {"$set": {"title": "edited"}})
    await deliver_all(source, [item])
    document = await orders.find_one({})
    assert document.get("isSynced") is None
    assert document["title"] == "edited"
    assert document["sync"]["sent"][0]["values"]["title"] == "sent"
    (again,) = await everything(source)
    await deliver_all(source, [again])
    document = await orders.find_one({})
    assert document["isSynced"] is True
    assert [sent["values"]["title"] for sent in document["sync"]["sent"]] == ["sent", "edited"]


async def test_an_order_that_somebody_else_has_told_and_marked_meanwhile_is_told_again(tracos, orders):
    held_up, other = tracos.source(TERMS), tracos.source(TERMS)
    await orders.insert_one({"number": 1, "status": "created", "title": "older"})
    (before,) = await everything(held_up)
    await orders.update_one({}, {"$set": {"title": "newer"}})
    (item,) = await everything(other)
    await deliver_all(other, [item])
    assert (await orders.find_one())["isSynced"] is True
    await deliver_all(held_up, [before])  # what it told has overwritten what is newer, for all that we know
    document = await orders.find_one()
    assert (document["title"], document["isSynced"]) == ("newer", False)
    assert [sent["values"]["title"] for sent in document["sync"]["sent"]] == ["newer", "older"]


async def test_an_order_whose_mark_cannot_be_made_costs_itself_alone(source, orders, log, monkeypatch):
    await orders.insert_many([{"number": number, "title": "x"} for number in range(3)])
    fields = Marker.fields

    def odd(self, one, at):
        if one.record.order.number == 1:
            raise AttributeError("nobody thought of this")
        return fields(self, one, at)

    monkeypatch.setattr(Marker, "fields", odd)
    await deliver_all(source, await everything(source))
    assert [one["number"] async for one in orders.find({"isSynced": {"$ne": True}})] == [1]
    assert any("its mark cannot be made" in line and "AttributeError" in line for line in log)


async def test_only_the_edited_one_of_a_batch_stays_unsynced(source, orders):
    await orders.insert_many([{"number": number, "status": "created"} for number in range(5)])
    items = await everything(source)
    await orders.update_one({"number": 3}, {"$set": {"status": "pending"}})
    await deliver_all(source, items)
    assert [doc["number"] async for doc in orders.find({"isSynced": {"$ne": True}})] == [3]
    assert await orders.count_documents({"sync.rev": 1}) == 5


async def test_an_order_removed_while_sending_is_no_error(source, orders):
    await orders.insert_one({"number": 1, "status": "created"})
    (item,) = await everything(source)
    await orders.delete_one({})
    await deliver_all(source, [item])
    assert await orders.count_documents({}) == 0


async def test_a_nacked_order_stays_as_it_is(source, orders):
    await orders.insert_one({"number": 1, "status": "nonsense"})
    before = await orders.find_one({})
    (item,) = await everything(source)
    with pytest.raises(Rejected, match="unknown status"):
        source.to_record(item.payload)
    await source.settle({item.locator: Fate.DEAD})
    assert await orders.find_one({}) == before


async def test_a_document_without_a_number_is_told(source, orders):
    await orders.insert_one({"status": "created"})
    (item,) = await everything(source)
    with pytest.raises(Rejected, match=r"\$\.number: missing"):
        source.to_record(item.payload)


async def test_the_original_bytes_are_the_same_until_the_order_says_something_else(source, orders):
    await orders.insert_one({"number": 1, "status": "created", "createdAt": at(1)})
    (first,) = await everything(source)
    await source.settle({first.locator: Fate.DEAD})
    await orders.update_one({}, {"$set": {"assignee": "Ana", "sync": {"rev": 3}}})
    (second,) = await everything(source)
    assert (first.locator, first.raw) == (second.locator, second.raw)
    assert b"2026-10-01T08:00:00Z" in first.raw


async def test_more_deletions_than_allowed_stop_the_run_before_any_is_sent(make_tracos, orders):
    async with make_tracos(deletes=DeleteBudget(1)) as tracos:
        sink = tracos.sink(TERMS)
        await taken(sink, [envelope(order(number, updated=at(8)), str(number)) for number in range(2)])
        await orders.update_many({}, {"$set": {"deleted": True, "isSynced": False}})
        with pytest.raises(BudgetExceeded, match="more than 1 work orders"):
            await everything(tracos.source(TERMS))


async def test_deleted_orders_that_the_client_never_knew_cost_nothing(make_tracos, orders):
    await orders.insert_many([{"number": number, "deleted": True} for number in range(3)])
    async with make_tracos(deletes=DeleteBudget(0)) as tracos:
        assert len(await everything(tracos.source(TERMS))) == 3


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_becomes_of_them_all_that_was_given_is_forgotten_and_only_the_delivered_is_marked(
    tracos, orders, seed
):
    chance = random.Random(seed)
    await orders.insert_many([{"number": number, "title": "t"} for number in range(60)])
    source, delivered = tracos.source(TERMS), set()
    async for group in source.read():
        fates = {item.locator: chance.choice(list(Fate)) for item in group}
        delivered |= {item.payload.readable["number"] for item in group if fates[item.locator] is Fate.DELIVERED}
        assert source.pending == len(group)
        for some in (list(fates)[::2], list(fates)[1::2]):
            await source.settle({locator: fates[locator] for locator in some})
    assert source.pending == 0
    assert {document["number"] async for document in orders.find({"isSynced": True})} == delivered


async def test_what_a_client_takes_later_is_noted_before_it_is_handed_over_and_marked_after(source, orders):
    source.note_ahead()
    await orders.insert_one({"number": 1, "status": "created", "title": "Pump", "isSynced": False})
    (item,) = await everything(source)
    document = await orders.find_one({})
    assert document["isSynced"] is False
    assert [(one["values"]["title"], one["state"]) for one in document["sync"]["sent"]] == [("Pump", "noted")]
    assert source.to_record(item.payload).known is None
    await deliver_all(source, [item])
    document = await orders.find_one({})
    assert document["isSynced"] is True
    assert [one.get("state") for one in document["sync"]["sent"]] == [None]


async def test_a_note_is_written_once_and_says_nothing_of_an_order_that_cannot_be_handed_over(tracos, orders):
    await orders.insert_many([{"number": 1, "status": "created"}, {"number": 2, "status": "nobody knows"}])
    for _ in range(2):
        killed = tracos.source(TERMS)
        killed.note_ahead()
        await everything(killed)
    assert [one.get("sync", {}).get("rev") for one in await orders.find().to_list(None)] == [1, None]


async def test_a_file_whose_mark_is_lost_does_not_undo_what_the_client_edits_before_it_takes_the_file(tracos, orders):
    """A run is killed between the two: what was handed over is known all the same, and is told once more."""
    await taken(tracos.sink(TERMS), [envelope(order(10, title="Pump", updated=at(1)))])
    await orders.update_one({}, {"$set": {"status": "pending", "isSynced": False}})
    killed = tracos.source(TERMS)
    killed.note_ahead()
    await everything(killed)
    await taken(tracos.sink(TERMS), [envelope(order(10, title="theirs", updated=at(3)), "b.json")])
    document = await orders.find_one({})
    assert (document["title"], document["status"], document["isSynced"]) == ("theirs", "pending", False)
    noted = document["sync"]["sent"][0]
    assert (noted["values"]["title"], noted["overruled"]) == ("Pump", ["title"])
