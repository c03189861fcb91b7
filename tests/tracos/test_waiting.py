"""How many orders wait to be told, and since when."""

from datetime import UTC, datetime

import pytest
from bson import ObjectId

from pipeline.errors import TracosOutage
from pipeline.tracos.waiting import Waiting

MADE = datetime(2026, 10, 1, tzinfo=UTC)


def at(day):
    return datetime(2026, 10, day, tzinfo=UTC)


async def test_none_waits(make_tracos, orders):
    assert await make_tracos().waiting() == Waiting(0, None)
    await orders.insert_one({"number": 1, "isSynced": True, "updatedAt": "2026-10-03T00:00:00Z"})
    assert await make_tracos().waiting() == Waiting(0, None)


@pytest.mark.parametrize(
    ("fields", "since"),
    [
        ({"updatedAt": "2026-10-05T00:00:00.000Z"}, at(5)),
        ({"updatedAt": at(5)}, at(5)),
        ({"updatedAt": "2026-10-05", "createdAt": at(2)}, at(5)),
        ({"updatedAt": None, "createdAt": "2026-10-02T00:00:00Z"}, at(2)),
        ({"updatedAt": "yesterday", "createdAt": [1]}, MADE),
        ({}, MADE),
        ({"updatedAt": at(2), "syncedAt": "2026-10-06T00:00:00Z"}, at(6)),  # edited after that, by somebody who left it
        ({"updatedAt": at(7), "syncedAt": at(6)}, at(7)),
    ],
)
async def test_an_order_waits_since_its_edit_but_not_since_before_it_was_told(make_tracos, orders, fields, since):
    made = {"_id": ObjectId.from_datetime(MADE), "number": 1}
    await orders.insert_one({**made, **fields})
    await orders.insert_one({"number": 2, "isSynced": False, "updatedAt": at(28)})
    assert await make_tracos().waiting() == Waiting(2, since)


async def test_whose_time_nobody_can_read_waits_too(make_tracos, orders):
    await orders.insert_one({"_id": "own", "number": 1, "isSynced": "no"})
    assert await make_tracos().waiting() == Waiting(1, None)


async def test_the_index_serves_it(make_tracos, orders):
    async with make_tracos():
        pass  # makes the indexes
    await orders.insert_many([{"number": number, "isSynced": True} for number in range(100)])
    await orders.insert_one({"number": 1000})
    database = orders.database
    await database.command("profile", 2)
    assert (await make_tracos().waiting()).count == 1
    await database.command("profile", 0)
    asked = [one async for one in database["system.profile"].find({"command.aggregate": "workorders"})]
    assert asked
    assert max(one["docsExamined"] for one in asked) <= 1


async def test_who_is_away_is_not_waited_for(make_tracos):
    with pytest.raises(TracosOutage):
        await make_tracos("mongodb://127.0.0.1:1", retry_seconds=0).waiting()
