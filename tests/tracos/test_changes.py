"""Edits in TracOS wake who listens, where MongoDB can tell of them."""

import asyncio

import pytest
from aiostream import streamcontext
from motor.motor_asyncio import AsyncIOMotorClient

from pipeline.tracos.changes import changes
from pipeline.tracos.connection import Connection


async def test_a_server_that_cannot_tell_is_told_of_once(mongo_uri, database_name, log):
    async with streamcontext(changes(Connection(mongo_uri, database_name, "workorders", 60))) as reasons:
        assert [reason async for reason in reasons] == []
    assert len([line for line in log if "has no change streams" in line]) == 1


@pytest.mark.slow
async def test_an_edit_that_is_to_be_told_wakes_and_our_own_marks_do_not(replica_set, database_name):
    client = AsyncIOMotorClient(replica_set.uri)
    orders = client[database_name]["workorders"]
    await orders.insert_one({"number": 1, "isSynced": True})
    async with streamcontext(changes(Connection(replica_set.uri, database_name, "workorders", 60))) as reasons:
        waiting = asyncio.ensure_future(anext(reasons))
        for count in range(20):  # nothing of this is to be told
            await orders.update_one({"number": 1}, {"$set": {"count": count, "isSynced": True}})
        assert not waiting.done()
        while not waiting.done():
            await orders.update_one({"number": 1}, {"$set": {"title": "x", "isSynced": False}, "$inc": {"n": 1}})
            await asyncio.sleep(0.05)
        assert await waiting == "an edit in TracOS"
    client.close()
