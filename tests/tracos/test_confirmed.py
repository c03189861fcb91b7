"""Acks follow what a majority has confirmed; three members, of which two are held back."""

import asyncio
import uuid

import pytest
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from pipeline.dataflow.messages import Fate, Outcome
from pipeline.errors import Deferred, TracosOutage
from pipeline.history.decisions import read_decisions
from tests.mongo import until
from tests.tracos.orders import TERMS, at, envelope, order, taken

CREATED, UPDATED, REPEAT = Outcome.CREATED, Outcome.UPDATED, Outcome.REPEAT
HASTY = "&wtimeoutMS=200"


def batch(day=8, **values):
    return [envelope(order(number, updated=at(day), **values), f"{number}.json") for number in range(50)]


@pytest.fixture
def name(replica_set):
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    with MongoClient(replica_set.uri) as client:
        client.drop_database(name)


@pytest.fixture
def open_tracos(make_tracos, replica_set, name):
    def opened(**settings):
        return make_tracos(replica_set.uri + HASTY, database=name, **settings)

    return opened


@pytest.fixture
def sure(replica_set, name):
    """The orders as a majority has them."""
    with MongoClient(replica_set.uri) as client:
        yield client[name].get_collection("workorders", read_concern=ReadConcern("majority"))


@pytest.mark.slow
async def test_what_no_majority_confirms_is_no_success_however_often_it_is_tried(open_tracos, replica_set, sure):
    """The look-up showed the run its own unconfirmed writes, which it took for confirmed ones and acked."""
    async with open_tracos(retry_seconds=2) as tracos:
        sink = tracos.sink(TERMS)
        with replica_set.behind(1, 2):
            result = await sink.write_batch(batch())
            assert isinstance(result.stop, TracosOutage)
            assert "no majority of its members confirms writes" in str(result.stop)
            assert all(isinstance(one, Deferred) for one in result.outcomes)
            assert sure.count_documents({}) == 0
            again = await sink.write_batch(batch())
            assert isinstance(again.stop, TracosOutage)
        await asyncio.to_thread(until, lambda: sure.count_documents({}) == 50)
        assert await taken(sink, batch()) == [REPEAT] * 50


@pytest.mark.slow
async def test_a_majority_that_comes_back_in_time_confirms_and_counts_what_was_written_once(
    open_tracos, replica_set, sure, decision_file
):
    async with open_tracos(retry_seconds=30) as tracos:
        sink = tracos.sink(TERMS)
        with replica_set.behind(1, 2):
            writing = asyncio.create_task(taken(sink, batch()))
            await asyncio.to_thread(until, lambda: sure.with_options(read_concern=ReadConcern("local")).find_one())
            done, _ = await asyncio.wait([writing], timeout=1)
            assert not done
        assert await writing == [CREATED] * 50
        assert sure.count_documents({}) == 50
    assert [entry.number for entry in read_decisions(decision_file)] == list(range(50))


@pytest.mark.slow
async def test_an_update_that_no_majority_confirms_is_no_edit_of_somebody_else(open_tracos, replica_set, sure):
    async with open_tracos(retry_seconds=2) as tracos:
        sink = tracos.sink(TERMS)
        await taken(sink, batch())
        with replica_set.behind(1, 2):
            result = await sink.write_batch(batch(9, title="new"))
            assert isinstance(result.stop, TracosOutage)
        await asyncio.to_thread(until, lambda: sure.count_documents({"title": "new"}) == 50)
        assert set(await taken(sink, batch(9, title="new"))) == {REPEAT}


@pytest.mark.slow
async def test_a_mark_that_no_majority_confirms_stops_the_run(open_tracos, replica_set, sure, log):
    async with open_tracos(retry_seconds=2) as tracos:
        await tracos._connection.collection.insert_many(
            [{"number": number, "status": "created"} for number in range(5)]
        )
        source = tracos.source(TERMS)
        items = [item async for group in source.read() for item in group]
        assert len(items) == 5
        with replica_set.behind(1, 2), pytest.raises(TracosOutage, match="no majority"):
            await source.settle({item.locator: Fate.DELIVERED for item in items})
        await asyncio.to_thread(until, lambda: sure.count_documents({"isSynced": True}) == 5)
    assert not [line for line in log if "time and again" in line]


@pytest.mark.slow
async def test_a_note_that_no_majority_confirms_stops_the_run_and_leaves_no_order_out(
    open_tracos, replica_set, sure, log
):
    async with open_tracos(retry_seconds=2) as tracos:
        await tracos._connection.collection.insert_many(
            [{"number": number, "status": "created"} for number in range(5)]
        )
        source = tracos.source(TERMS)
        source.note_ahead()
        with replica_set.behind(1, 2), pytest.raises(TracosOutage, match="no majority"):
            [item async for group in source.read() for item in group]
        await asyncio.to_thread(until, lambda: sure.count_documents({"sync.rev": 1}) == 5)
        again = tracos.source(TERMS)
        again.note_ahead()
        assert len([item async for group in again.read() for item in group]) == 5
    assert not [line for line in log if "left for the next run" in line]
