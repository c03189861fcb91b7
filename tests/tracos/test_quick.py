"""The store on mongomock-motor, quickly, for what the mock can do: it knows no raw commands, so it only reads."""

import pytest
from mongomock_motor import AsyncMongoMockClient

from pipeline.errors import Rejected
from pipeline.history.decisions import Decisions
from pipeline.tracos.connection import Connection
from pipeline.tracos.deletes import DeleteBudget
from pipeline.tracos.indexes import prepare
from pipeline.tracos.source import TracosSource


@pytest.fixture
async def connection(monkeypatch):
    client = AsyncMongoMockClient(tz_aware=True)

    async def mocked(self):
        self._client, self._collection = client, client["quick"]["workorders"]

    monkeypatch.setattr(Connection, "open", mocked)
    async with Connection("mongodb://mock", "quick", "workorders", 1) as connection:
        yield connection


async def test_what_is_unsynced_is_read_and_translated(connection):
    await connection.collection.insert_many(
        [
            {"number": 1, "status": "created", "createdAt": "2026-10-01"},
            {"number": 2, "isSynced": True},
            {"number": 3, "status": "lost"},
        ]
    )
    source = TracosSource(connection, "erp", "plain", Decisions(), DeleteBudget(0))
    items = {item.payload["number"]: item async for group in source.read() for item in group}
    assert set(items) == {1, 3}
    assert source.to_record(items[1].payload).layout == "plain"
    with pytest.raises(Rejected, match="unknown status"):
        source.to_record(items[3].payload)


async def test_the_indexes_are_made_once(connection):
    for _ in range(2):
        await prepare(connection.collection)
        assert set(await connection.collection.index_information()) == {"_id_", "number_1", "isSynced_1__id_1"}
