"""Whether what was delivered is still there, on a real MongoDB."""

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from pymongo import MongoClient

from tests.tracos.orders import envelope, order


def later_id():
    """Ids of one second are in no order."""
    return ObjectId.from_datetime(datetime.now(UTC) + timedelta(days=1))


@pytest.fixture
def witness(tracos):
    return tracos.witness("erp")


@pytest.fixture
async def seal(sink, witness):
    """Of a time at which three orders were there."""
    await sink.write_batch([envelope(order(number), f"{number}.json") for number in (1, 2, 3)])
    return await witness.seal()


async def test_a_seal_holds_while_documents_come_and_change(witness, seal, sink, orders):
    assert await witness.holds(seal)
    await sink.write_batch([envelope(order(4), "4.json")])
    await orders.insert_one(
        {"_id": ObjectId.from_datetime(datetime.now(UTC) + timedelta(days=1)), "title": "born here"}
    )
    await orders.update_one({"number": 1}, {"$set": {"title": "edited"}})
    assert await witness.holds(seal)
    await orders.delete_one({"number": 4})
    assert await witness.holds(seal)


async def test_a_document_that_was_there_and_is_gone_breaks_it(witness, seal, orders):
    await orders.delete_one({"number": 2})
    await orders.insert_one({"_id": later_id(), "title": "another"})
    assert not await witness.holds(seal)


async def test_a_later_seal_takes_its_place(witness, seal):
    later = await witness.seal()
    assert await witness.holds(later)
    assert not await witness.holds(seal)


async def test_a_backup_from_before_breaks_it(witness, seal, orders, database):
    tokens = database["workorders.sync"]
    backup = await orders.find().to_list(None), await tokens.find().to_list(None)
    later = await witness.seal()
    for collection, documents in zip((orders, tokens), backup, strict=True):
        await collection.drop()
        await collection.insert_many(documents)
    assert not await witness.holds(later)
    assert await witness.holds(seal)


async def test_clients_seal_apart(tracos, witness, seal):
    other = await tracos.witness("other").seal()
    assert await witness.holds(seal)
    assert not await witness.holds(other)


@pytest.mark.parametrize("text", ["", "a", "a b c", f"a {'0' * 24} x", f"a {'0' * 24} 1 2", "a nothex 1"])
async def test_no_seal_of_ours_does_not_hold(witness, seal, text):
    assert not await witness.holds(text)


async def test_where_the_token_may_not_be_kept_there_is_no_seal(mongod, make_tracos, log):
    async with make_tracos(mongod.uri) as tracos:
        with MongoClient(mongod.uri) as client:
            refusal = {"failCommands": ["update"], "errorCode": 13}
            client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": refusal})
        assert await tracos.witness("erp").seal() is None
    assert "workorders.sync cannot be used, so that all files are read each run" in "\n".join(log)
