"""Orders that the client numbers itself: matched by its id, linked by ours, told once; on a real MongoDB."""

import pytest
from msgspec.structs import replace

from pipeline.dataflow.messages import Fate, Outcome, Unreadable
from pipeline.errors import BudgetExceeded, Fatal, Rejected
from pipeline.history.decisions import read_decisions
from pipeline.orders.workorder import Kind
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.dry import DryConnection
from tests.places import deliver_all
from tests.tracos.orders import at, envelope, order, taken, terms

THEIRS = terms("plain", ids="client", number="SAP-{id}")


@pytest.fixture
def sink(tracos):
    return tracos.sink(THEIRS)


@pytest.fixture
def source(tracos):
    return tracos.source(THEIRS)


def shown(number, reference=None, **values):
    """A record of the client's order ``number``, which says that it is our ``reference``."""
    return replace(order(number, **values), reference=reference)


async def read(source):
    return [item async for group in source.read() for item in group]


async def told(source, called=None):
    """Every order as it is handed over, once all are settled, the client having called them ``called``."""
    items = await read(source)
    records = [source.to_record(item.payload) for item in items]
    if called:
        source.learn({item.locator: given for item, given in zip(items, called, strict=True)}, [])
    await deliver_all(source, items)
    return records


async def test_a_new_order_gets_the_number_that_is_made_of_its_id_and_is_found_by_its_id(sink, orders):
    assert await taken(sink, [envelope(shown(4711, updated=at(2)))]) == [Outcome.CREATED]
    assert await taken(sink, [envelope(shown("4711", updated=at(3), title="new"))]) == [Outcome.UPDATED]
    (document,) = await orders.find({}).to_list(None)
    assert (document["number"], document["sync"]["id"], document["title"]) == ("SAP-4711", "4711", "new")


async def test_a_record_is_linked_to_the_order_that_its_reference_names(sink, orders):
    await orders.insert_one({"number": 7, "title": "Pump", "createdAt": "2026-10-01", "status": "created"})
    assert await taken(sink, [envelope(shown("E1", "7", updated=at(2), title="Pumps"))]) == [Outcome.UPDATED]
    assert await taken(sink, [envelope(shown("E1", updated=at(3), title="Three"))]) == [Outcome.UPDATED]
    (document,) = await orders.find({}).to_list(None)
    assert (document["number"], document["sync"]["id"], document["title"]) == (7, "E1", "Three")


async def test_its_id_counts_before_its_reference(sink, orders):
    await taken(sink, [envelope(shown("E1"))])
    await orders.insert_one({"number": 7, "title": "other"})
    assert await taken(sink, [envelope(shown("E1", 7, updated=at(2), title="new"))]) == [Outcome.UPDATED]
    assert (await orders.find_one({"number": "SAP-E1"}))["title"] == "new"
    assert "sync" not in await orders.find_one({"number": 7})


async def test_a_reference_to_an_order_that_is_linked_already_is_a_letter_that_names_both(sink, orders):
    await orders.insert_one({"number": 7, "title": "Pump"})
    first, second = await taken(sink, [envelope(shown("E1", 7)), envelope(shown("E2", 7), "b.json")])
    assert first is Outcome.UPDATED
    assert isinstance(second, Rejected)
    assert "names the order 7, which is linked to the client's E1 already" in str(second)
    (again,) = await taken(sink, [envelope(shown("E2", 7, updated=at(2)), "b.json")])
    assert isinstance(again, Rejected)
    assert await orders.count_documents({}) == 1


async def test_a_reference_that_no_order_has_makes_a_new_one(sink, orders):
    assert await taken(sink, [envelope(shown("E1", 99))]) == [Outcome.CREATED]
    assert (await orders.find_one({}))["number"] == "SAP-E1"


async def test_a_number_that_another_order_has_is_a_letter_and_links_nothing(tracos, orders):
    sink = tracos.sink(terms("plain", ids="client"))
    await orders.insert_one({"number": 5, "title": "ours"})
    one, other = await taken(sink, [envelope(shown(5)), envelope(shown(6), "b.json")])
    assert "another order in TracOS has the number 5" in str(one)
    assert "set `number`" in str(one)
    assert other is Outcome.CREATED
    assert "sync" not in await orders.find_one({"number": 5})


async def test_with_shared_ids_a_reference_to_another_order_is_a_letter(tracos, orders):
    sink = tracos.sink(terms("plain"))
    await orders.insert_one({"number": 7})
    (result,) = await taken(sink, [envelope(shown(8, 7))])
    assert 'ids = "client"' in str(result)
    assert await taken(sink, [envelope(shown(9, 9))]) == [Outcome.CREATED]
    assert await taken(sink, [envelope(shown(10, 99), "c.json")]) == [Outcome.CREATED]


async def test_two_documents_of_one_order_of_the_clients_stop_before_anything_is_changed(make_tracos, orders):
    await orders.insert_many([{"number": n, "sync": {"client": "erp", "id": "E1", "layout": "plain"}} for n in (1, 2)])
    with pytest.raises(Fatal, match=r"sync\.id 'E1'"):
        await make_tracos().open()


async def test_before_an_order_is_told_its_document_says_so(tracos, source, orders):
    await orders.insert_one({"number": 7, "title": "Pump", "status": "created", "createdAt": "2026-10-01"})
    async for (item,) in source.read():
        document = await orders.find_one({})
        assert document["sync"]["id"] is None
        key = document["sync"]["intent"]["key"]
        record = source.to_record(item.payload)
        assert (record.is_linked, record.intent.key, record.intent.is_old) == (False, key, False)
        assert record.known is None
    # The run is killed here: the next one asks under the same key, and knows that it may be the second time.
    again = tracos.source(THEIRS)
    (item,) = await read(again)
    record = again.to_record(item.payload)
    assert (record.intent.key, record.intent.is_old, record.is_linked) == (key, True, False)


async def test_the_id_that_the_client_gives_is_in_the_mark(sink, source, orders):
    await orders.insert_one({"number": 7, "title": "Pump", "status": "created", "createdAt": "2026-10-01"})
    await told(source, ["E1"])
    document = await orders.find_one({})
    assert (document["isSynced"], document["sync"]["id"]) == (True, "E1")
    assert "intent" not in document["sync"]
    assert await taken(sink, [envelope(shown("E1", 7, title="Pump"))]) == [Outcome.UNCHANGED]
    assert await orders.count_documents({}) == 1


async def test_an_order_that_is_told_and_not_called_anything_keeps_its_intent_until_it_is_linked(tracos, sink, orders):
    await orders.insert_one({"number": 7, "title": "Pump", "status": "created", "createdAt": "2026-10-01"})
    (first,) = await told(tracos.source(THEIRS))
    await orders.update_one({}, {"$set": {"title": "Pumps", "isSynced": False}})
    (second,) = await told(tracos.source(THEIRS))
    assert second.intent.key == first.intent.key
    assert second.intent.is_old
    assert await taken(sink, [envelope(shown("E1", 7, updated=at(2), title="Pumps"))]) == [Outcome.UNCHANGED]
    await orders.update_one({}, {"$set": {"title": "Three", "isSynced": False}})
    (third,) = await told(tracos.source(THEIRS))
    assert (third.external_id, third.is_linked, third.intent) == ("E1", True, None)


async def test_an_order_edited_between_the_hand_over_and_its_mark_is_linked_all_the_same(source, orders):
    await orders.insert_one({"number": 7, "title": "Pump", "status": "created", "createdAt": "2026-10-01"})
    (item,) = await read(source)
    source.to_record(item.payload)
    await orders.update_one({}, {"$set": {"title": "edited"}})
    source.learn({item.locator: "E1"}, [])
    await deliver_all(source, [item])
    document = await orders.find_one({})
    assert document["sync"]["id"] == "E1"
    assert document.get("isSynced") is not True


@pytest.mark.parametrize("fate", [Fate.DEFERRED, Fate.DEAD])
async def test_an_order_that_is_found_there_and_not_told_is_linked_all_the_same(tracos, source, orders, fate):
    await orders.insert_one({"number": 7, "title": "Pump", "status": "created", "createdAt": "2026-10-01"})
    (item,) = await read(source)
    await orders.update_one({}, {"$set": {"title": "edited"}})
    source.learn({item.locator: "E1"}, [])
    await source.settle({item.locator: fate})
    document = await orders.find_one({})
    assert (document["sync"]["id"], document.get("isSynced"), document["title"]) == ("E1", None, "edited")
    assert "intent" in document["sync"], "that the client was told of it stays to be known"
    (record,) = await told(tracos.source(THEIRS))
    assert (record.external_id, record.is_linked, record.known, record.intent) == ("E1", True, None, None)


async def test_where_the_validator_refuses_the_intent_the_client_is_not_told(make_tracos, database):
    rules = {
        "$jsonSchema": {"properties": {"sync": {"bsonType": "object", "properties": {"base": {"bsonType": "object"}}}}}
    }
    orders = await database.create_collection("workorders", validator=rules)
    await orders.insert_one({"number": 7, "status": "created"})
    async with make_tracos() as tracos:
        source = tracos.source(THEIRS)
        (item,) = await read(source)
        assert isinstance(item, Unreadable)
        assert "the collection's validator does not allow it" in str(item.reasons[0])
        await source.settle({item.locator: Fate.DEAD})


async def test_a_dry_run_writes_no_intent_and_tells_the_same(make_tracos, orders):
    await orders.insert_one({"number": 7, "title": "Pump", "status": "created", "createdAt": "2026-10-01"})
    before = await orders.find_one({})
    async with make_tracos(kind=DryConnection) as tracos:
        (record,) = await told(tracos.source(THEIRS), ["E1"])
        assert record.order.number == 7
        (result,) = await taken(tracos.sink(THEIRS), [envelope(shown("E1", title="Pump"))])
        assert result is Outcome.UNCHANGED
    assert await orders.find_one({}) == before


class TestGone:
    async def edited(self, sink, orders, *numbers):
        await taken(sink, [envelope(shown(number), f"{number}.json") for number in numbers])
        await orders.update_many({}, {"$set": {"title": "edited", "isSynced": False}})

    async def settled(self, source):
        items = await read(source)
        source.learn({}, [item.locator for item in items])
        await source.settle({item.locator: Fate.DEFERRED for item in items})

    async def test_what_the_client_has_no_more_is_deleted_here_logged_and_not_told_again(
        self, tracos, sink, source, orders, decision_file
    ):
        await self.edited(sink, orders, "E1")
        await self.settled(source)
        document = await orders.find_one({})
        assert (document["deleted"], document["isSynced"], document["title"]) == (True, True, "edited")
        assert document.get("deletedAt") is None
        entry = list(read_decisions(decision_file))[-1]
        assert (entry.rule, entry.number, entry.id) == ("absent", "SAP-E1", "E1")
        assert await read(tracos.source(THEIRS)) == []
        assert await taken(sink, [envelope(shown("E1", updated=at(9)))]) == [Outcome.UPDATED]
        assert (await orders.find_one({}))["deleted"] is False

    async def test_an_edit_in_between_keeps_it_and_nothing_is_logged(self, sink, source, orders, decision_file):
        await self.edited(sink, orders, "E1")
        items = await read(source)
        await orders.update_one({}, {"$set": {"title": "edited again"}})
        source.learn({}, [item.locator for item in items])
        await source.settle({item.locator: Fate.DEFERRED for item in items})
        assert (await orders.find_one({}))["deleted"] is False
        assert "absent" not in {entry.rule for entry in read_decisions(decision_file)}

    async def test_too_many_stop_the_run_before_any_is_deleted(self, make_tracos, orders):
        async with make_tracos(deletes=DeleteBudget(1)) as tracos:
            await self.edited(tracos.sink(THEIRS), orders, "E1", "E2")
            with pytest.raises(BudgetExceeded):
                await self.settled(tracos.source(THEIRS))
        assert await orders.count_documents({"deleted": True}) == 0


class TestMoreFields:
    MORE = terms(
        "plain",
        fields={"priority": Kind.TEXT, "hours": Kind.NUMBER, "stop": Kind.FLAG, "due": Kind.TIME},
        authority={"priority": "client"},
    )

    def record(self, number, updated=None, **more):
        made = order(number, updated=updated)
        return replace(made, order=replace(made.order, more=more))

    async def test_they_are_inserted_merged_and_told_under_their_own_names(self, tracos, orders):
        sink, source = tracos.sink(self.MORE), tracos.source(self.MORE)
        more = {"priority": "high", "hours": 2.5, "stop": False, "due": at(9)}
        assert await taken(sink, [envelope(self.record(1, at(2), **more))]) == [Outcome.CREATED]
        document = await orders.find_one({})
        assert [document[key] for key in more] == ["high", 2.5, False, "2026-10-09T08:00:00.000Z"]
        changed = {"$set": {"hours": 3, "due": at(10), "isSynced": False, "updatedAt": "2026-10-03T00:00:00Z"}}
        await orders.update_one({}, changed)
        assert await taken(sink, [envelope(self.record(1, at(4), **{**more, "stop": True}))]) == [Outcome.UPDATED]
        document = await orders.find_one({})
        assert [document[key] for key in more] == ["high", 3, True, at(10)]
        assert document["isSynced"] is False
        (record,) = [source.to_record(item.payload) for item in await read(source)]
        assert record.order.more == {"priority": "high", "hours": 3, "stop": True, "due": at(10)}

    async def test_a_number_that_takes_eight_bytes_is_remembered_and_told_like_any(self, tracos, orders):
        """The driver reads it as a kind of its own, which no JSON can say."""
        sink, source = tracos.sink(self.MORE), tracos.source(self.MORE)
        await taken(sink, [envelope(self.record(1, at(2), hours=5_000_000_000))])
        await orders.update_one({}, {"$set": {"title": "ours", "isSynced": False}})
        items = await read(source)
        await deliver_all(source, items)
        assert (await orders.find_one({}))["isSynced"] is True
        assert await taken(sink, [envelope(self.record(1, at(4), priority="low"))]) == [Outcome.UPDATED]
        assert (await orders.find_one({}))["sync"]["base"]["more"] == {"priority": "low", "hours": 5_000_000_000}

    async def test_an_edit_between_reading_and_writing_is_not_overwritten(self, tracos, orders):
        source = tracos.source(self.MORE)
        await orders.insert_one({"number": 1, "hours": 1, "status": "created"})
        items = await read(source)
        await orders.update_one({}, {"$set": {"hours": 2}})
        await deliver_all(source, items)
        assert (await orders.find_one({})).get("isSynced") is not True

    async def test_what_is_of_another_kind_is_a_letter_that_names_each(self, tracos, orders):
        await orders.insert_one({"number": 1, "priority": 1, "hours": "2", "stop": "no", "due": 7})
        (result,) = await taken(tracos.sink(self.MORE), [envelope(self.record(1))])
        for path in ("$.priority", "$.hours", "$.stop", "$.due"):
            assert path in str(result)

    async def test_what_the_client_has_the_say_in_is_not_told_and_goes_back(self, tracos, orders):
        sink = tracos.sink(self.MORE)
        await taken(sink, [envelope(self.record(1, at(2), priority="high"))])
        await orders.update_one({}, {"$set": {"priority": "low", "title": "ours", "isSynced": False}})
        source = tracos.source(self.MORE)
        items = await read(source)
        record = source.to_record(items[0].payload)
        assert (record.order.more["priority"], record.order.title) == ("high", "ours")
        await deliver_all(source, items)
        document = await orders.find_one({})
        assert (document["priority"], document["title"], document["isSynced"]) == ("high", "ours", True)
