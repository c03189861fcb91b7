"""The indexes that keep numbers unique and look-ups quick, and collections that cannot be used; on a real MongoDB."""

import asyncio

import pytest
from bson import Decimal128
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import DuplicateKeyError, OperationFailure

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Fatal
from pipeline.tracos.connection import Connection
from pipeline.tracos.dry import DryConnection
from pipeline.tracos.indexes import IS_ID, find_twins, missing, prepare
from tests.mongo import until
from tests.tracos.orders import TERMS, envelope, order, taken

OLD = {"number": {"$exists": True}}


async def test_opening_makes_the_indexes_once(make_tracos, orders):
    for _ in range(2):
        async with make_tracos():
            indexes = await orders.index_information()
    assert set(indexes) == {"_id_", "number_1", "sync.id_1", "isSynced_1__id_1"}
    assert indexes["number_1"]["unique"] is True
    assert indexes["isSynced_1__id_1"]["key"] == [("isSynced", 1), ("_id", 1)]
    await orders.insert_many([{"title": "no number"}, {"title": "none either"}])


async def test_the_look_up_and_the_outbound_query_use_the_indexes(tracos, orders):
    await orders.insert_many([{"number": n, "isSynced": n > 3} for n in range(100)])
    plan = await orders.find({"number": {"$in": [1, "1", 2, "2"], **IS_ID}}).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 2
    plan = await orders.find({"isSynced": {"$ne": True}}).explain()
    assert plan["executionStats"]["totalKeysExamined"] <= 6


@pytest.mark.parametrize(
    "twins", [[10, 10], ["a", "a"], [10, "10"], [10.0, "10"], [Decimal128("10"), 10], ["10", Decimal128("10")]]
)
async def test_twins_are_named_and_nothing_is_changed(make_tracos, orders, twins):
    await orders.insert_many([{"number": number} for number in [*twins, 11]])
    before = [document async for document in orders.find()]
    with pytest.raises(Fatal, match=r"same number: .*(10|a)"):
        await make_tracos().open()
    assert [document async for document in orders.find()] == before


async def test_numbers_in_arrays_are_told_as_twins_too(make_tracos, orders):
    await orders.insert_many([{"number": [10, 11]}, {"number": 11}])
    with pytest.raises(Fatal, match="same number: 11"):
        await make_tracos().open()


@pytest.mark.parametrize("draft", [{"number": None}, {}, {"number": False}, {"number": {}}])
async def test_drafts_without_a_number_are_nobodys_twins(make_tracos, orders, draft):
    """With `number: null` in two drafts every run stopped; with one, our index broke the other program's inserts."""
    await orders.insert_many([dict(draft), dict(draft), {"number": 1}])
    async with make_tracos() as tracos:
        await orders.insert_one(dict(draft))
        sink = tracos.sink(TERMS)
        assert await taken(sink, [envelope(order(2))]) == [Outcome.CREATED]
        assert await find_twins(orders) == []
        for number in (1, 2, 1.0, Decimal128("2")):
            with pytest.raises(DuplicateKeyError):
                await orders.insert_one({"number": number})


async def test_an_index_of_version_1_is_replaced_once_the_new_one_is_built(make_tracos, orders, log):
    await orders.create_index("number", unique=True, partialFilterExpression=OLD)
    await orders.insert_many([{"number": 1}, {"number": None}])
    async with make_tracos():
        indexes = await orders.index_information()
    assert "number_1" not in indexes
    assert indexes["number_1_ids"]["unique"] is True
    assert [line for line in log if "number_1_ids replaces it" in line]
    await orders.insert_one({"number": None})
    async with make_tracos():
        assert await orders.index_information() == indexes
    assert len([line for line in log if "replaces" in line]) == 1


async def test_an_index_of_version_1_stays_while_the_new_one_cannot_be_built(orders, monkeypatch):
    """As on a server before 5.0, which takes both for one index in two forms."""
    await orders.create_index("number", unique=True, partialFilterExpression=OLD)

    def conflict(self, models, **options):
        raise OperationFailure("Index already exists with a different name", 85)

    monkeypatch.setattr(AsyncIOMotorCollection, "create_indexes", conflict)
    with pytest.raises(Fatal, match=r"sync\.id"):
        await prepare(orders)
    assert "number_1" in await orders.index_information()


async def test_a_unique_index_of_somebody_else_is_enough(make_tracos, orders):
    await orders.create_index("number", unique=True, name="theirs")
    async with make_tracos():
        assert "number_1" not in await orders.index_information()


@pytest.mark.parametrize(
    "theirs",
    [
        {},
        {"unique": True, "partialFilterExpression": {"status": "created"}},
        {"unique": True, "collation": {"locale": "en", "strength": 1}},
        {"unique": True, "hidden": True},
    ],
)
async def test_an_index_of_somebody_else_that_does_not_do_is_left_and_ours_is_made(make_tracos, orders, theirs):
    await orders.create_index("number", **theirs)
    async with make_tracos():
        indexes = await orders.index_information()
        assert {"number_1", "number_1_ids"} < set(indexes)
        assert await missing(orders) == []
    async with make_tracos():
        assert await orders.index_information() == indexes


async def test_an_index_of_ours_that_was_hidden_is_told(make_tracos, orders, database):
    async with make_tracos():
        pass
    for name, fields in (("number_1", "number"), ("sync.id_1", "sync.id"), ("isSynced_1__id_1", "isSynced, _id")):
        await database.command("collMod", orders.name, index={"name": name, "hidden": True})
        assert await missing(orders) == [fields]
        with pytest.raises(Fatal, match=r"hidden.*unhide it"):
            await make_tracos().open()
        await database.command("collMod", orders.name, index={"name": name, "hidden": False})
    async with make_tracos():
        pass


async def test_an_index_counts_only_when_it_is_built(make_tracos, replica_set, database_name):
    stop = {"configureFailPoint": "hangAfterStartingIndexBuildUnlocked", "mode": "alwaysOn"}
    with replica_set.direct(0) as client:
        client[database_name]["workorders"].insert_many([{"number": number} for number in range(100)])

        def is_building():
            return any("IndexBuilds" in operation["desc"] for operation in client.admin.aggregate([{"$currentOp": {}}]))

        client.admin.command(stop)
        opening = asyncio.create_task(make_tracos(replica_set.uri).__aenter__())
        try:
            await asyncio.to_thread(until, is_building)
            async with Connection(replica_set.uri, database_name, "workorders", 1) as connection:
                assert "number" in await missing(connection.collection)
            assert not opening.done()
        finally:
            client.admin.command({**stop, "mode": "off"})
        tracos = await asyncio.wait_for(opening, 30)
        assert await missing(tracos._connection.collection) == []
        await tracos.__aexit__(None, None, None)
        client.drop_database(database_name)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"capped": True, "size": 100_000}, "capped"),
        ({"timeseries": {"timeField": "at"}}, "a time series"),
        ({"viewOn": "others"}, "a view"),
    ],
)
@pytest.mark.parametrize("kind", [Connection, DryConnection])
async def test_a_collection_that_keeps_no_promise_is_refused_by_name(
    make_tracos, database, orders, options, what, kind
):
    await database.create_collection(orders.name, **options)
    with pytest.raises(Fatal, match=rf"{database.name}\.workorders is {what}.*MONGO_COLLECTION"):
        await make_tracos(kind=kind).open()
    assert await orders.count_documents({}) == 0


async def test_two_who_open_at_once_make_them_once(make_tracos, orders):
    await orders.create_index("number", unique=True, partialFilterExpression=OLD)

    async def opened():
        async with make_tracos():
            pass

    await asyncio.gather(*(opened() for _ in range(4)))
    assert set(await orders.index_information()) == {"_id_", "number_1_ids", "sync.id_1", "isSynced_1__id_1"}
