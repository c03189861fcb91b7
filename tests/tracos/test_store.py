"""Opening TracOS: the URI, the indexes, twins; and riding out outages, on a real MongoDB."""

import tempfile
from pathlib import Path

import pytest

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Fatal, Outage, WrongSettings
from tests.mongo import Mongod
from tests.tracos.orders import envelope, order, taken

AWAY = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"


async def test_opening_makes_the_indexes_once(make_tracos, orders):
    for _ in range(2):
        async with make_tracos():
            indexes = await orders.index_information()
    assert indexes["number_1"]["unique"] is True
    assert indexes["isSynced_1__id_1"]["key"] == [("isSynced", 1), ("_id", 1)]
    await orders.insert_many([{"title": "no number"}, {"title": "none either"}])


async def test_the_look_up_and_the_outbound_query_use_the_indexes(tracos, orders):
    await orders.insert_many([{"number": n, "isSynced": n > 3} for n in range(100)])
    plan = await orders.find({"number": {"$in": [1, "1", 2, "2"]}}).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 2
    plan = await orders.find({"isSynced": {"$ne": True}}).explain()
    assert plan["executionStats"]["totalKeysExamined"] <= 6


@pytest.mark.parametrize("twins", [[10, 10], ["a", "a"], [10, "10"], [10.0, "10"]])
async def test_twins_are_named_and_nothing_is_changed(make_tracos, orders, twins):
    await orders.insert_many([{"number": number} for number in [*twins, 11]])
    before = [document async for document in orders.find()]
    with pytest.raises(Fatal, match=rf"same number: {twins[0]!r}"):
        await make_tracos().open()
    assert [document async for document in orders.find()] == before


async def test_a_unique_index_of_somebody_else_is_enough(make_tracos, orders):
    await orders.create_index("number", unique=True, name="theirs")
    async with make_tracos():
        assert "number_1" not in await orders.index_information()


async def test_a_plain_index_in_the_way_is_told_clearly(make_tracos, orders):
    await orders.create_index("number")
    with pytest.raises(Fatal, match="index"):
        await make_tracos().open()


@pytest.mark.parametrize("uri", ["mongodb://", "mongodb://u:secret@host:port/", "mongodb://h/?w=0"])
async def test_a_uri_that_cannot_work_is_a_wrong_setting_and_stays_secret(make_tracos, uri):
    with pytest.raises(WrongSettings, match="MONGO_URI") as caught:
        await make_tracos(uri).open()
    assert "secret" not in str(caught.value)


async def test_a_server_that_stays_away_is_an_outage_in_one_line(make_tracos):
    with pytest.raises(Outage, match=r"did not answer for 0\.5 s.*MONGO_URI") as caught:
        await make_tracos(AWAY, retry_seconds=0.5).open()
    assert "\n" not in str(caught.value)


async def test_writes_are_durable_unless_the_uri_says_otherwise(make_tracos, mongo_uri):
    for uri, expected in [
        (mongo_uri, {"w": "majority", "j": True, "wtimeout": 30_000}),
        (mongo_uri + ("&" if "?" in mongo_uri else "/?") + "w=1", {"w": 1}),
    ]:
        async with make_tracos(uri) as tracos:
            assert tracos._connection.collection.write_concern.document == expected


async def test_a_lost_reply_counts_what_was_written_once(make_tracos, orders, monkeypatch):
    """A standalone server never retries writes: the reply is lost, the write was applied."""
    async with make_tracos(retry_seconds=30) as tracos:
        sink = tracos.sink("erp", {"plain": lambda values: values})
        connection, lost = tracos._connection, []
        write = connection.write

        async def lossy(operations):
            result = await write(operations)
            if not lost:
                from pymongo.errors import AutoReconnect

                lost.append(result)
                raise AutoReconnect("connection closed")
            return result

        monkeypatch.setattr(connection, "write", lossy)
        results = await taken(sink, [envelope(order(number), str(number)) for number in range(3)])
        assert results == [Outcome.CREATED] * 3
        assert len(lost) == 1
        assert await orders.count_documents({}) == 3


async def test_on_a_replica_set_writes_wait_for_the_majority_and_repeats_are_known(make_tracos):
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        server = Mongod(Path(folder), replica_set=True).start()
        async with make_tracos(server.uri, retry_seconds=20) as tracos:
            sink = tracos.sink("erp", {"plain": lambda values: values})
            batch = [envelope(order(1)), envelope(order(2), "b.json")]
            assert await taken(sink, batch) == [Outcome.CREATED] * 2
            assert await taken(sink, batch) == [Outcome.REPEAT] * 2
        server.kill()


async def test_with_no_patience_an_outage_is_told_at_once(make_tracos, log):
    with pytest.raises(Outage):
        await make_tracos(AWAY, retry_seconds=0).open()
    assert log == []
