"""The store on mongomock-motor: quick, for what the mock can do; the guards are tested on a real server."""

import mongomock.collection
import pytest
from mongomock_motor import AsyncMongoMockClient

from pipeline.dataflow.messages import Outcome
from pipeline.tracos.connection import Connection
from tests.tracos.orders import at, envelope, order


@pytest.fixture
def mongo_uri():
    return "mongodb://mock"


@pytest.fixture
def database_name():
    return "quick"


@pytest.fixture
async def database(monkeypatch):
    client = AsyncMongoMockClient(tz_aware=True)

    async def mocked(self):
        self._client, self._collection = client, client["quick"]["workorders"]

    monkeypatch.setattr(Connection, "open", mocked)
    for name in ("add_update", "add_insert"):
        _forgiving(monkeypatch, name)
    return client["quick"]


def _forgiving(monkeypatch, name):
    """Newer drivers hand the mock's bulk operations arguments that it does not know."""
    builder = mongomock.collection.BulkOperationBuilder
    known = getattr(builder, name)
    names = known.__code__.co_varnames[: known.__code__.co_argcount]

    def call(self, *args, **options):
        return known(self, *args, **{key: value for key, value in options.items() if key in names})

    monkeypatch.setattr(builder, name, call)


@pytest.fixture
async def tracos(database, make_tracos):
    async with make_tracos() as tracos:
        yield tracos


async def test_insert_repeat_update_and_stale(sink, orders):
    assert await sink.write_batch([envelope(order(10, updated=at(3)))]) == [Outcome.CREATED]
    assert await sink.write_batch([envelope(order(10, updated=at(3)))]) == [Outcome.REPEAT]
    assert await sink.write_batch([envelope(order(10, updated=at(5), title="x"), "b.json")]) == [Outcome.UPDATED]
    assert await sink.write_batch([envelope(order(10, updated=at(4), title="y"), "c.json")]) == [Outcome.STALE]
    document = await orders.find_one({"number": 10})
    assert (document["title"], document["isSynced"]) == ("x", True)
