"""The lease on a client's orders, on a real MongoDB: one has it, whoever is gone loses it, time is the server's."""

import asyncio
import os
import re
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from bson import Regex

from pipeline.errors import Held
from pipeline.tracos.connection import Connection
from pipeline.tracos.lease import Lease


@pytest.fixture
def make(mongo_uri, database_name):
    def lease(run, **settings):
        return Lease(Connection(mongo_uri, database_name, "workorders", 60), run, **settings)

    return lease


@pytest.fixture
def leases(database):
    return database["workorders.sync"]


async def of_a_stranger(leases, *, until, **holder):
    """Somebody has it whom nobody here can see."""
    stranger = {"host": "elsewhere", "pid": 7, "started": "1", "place": "another machine", "run": "R7"} | holder
    await leases.insert_one({"_id": "lease", "token": "t", "holder": stranger, "until": until, "fence": 41})


def much_later():
    return time.monotonic() + 1e9


def soon():
    return datetime.now(UTC) + timedelta(minutes=1)


async def test_whoever_comes_second_is_told_who_has_it_and_until_when(make):
    async with make("one"):
        with pytest.raises(Held) as held:
            async with make("two"):
                pass
    said = str(held.value)
    assert held.value.exit_code == 6
    assert re.match(
        rf"run one \(process {os.getpid()} on .*\) is working on these orders until \d\d:\d\d:\d\d UTC", said
    )
    assert "--wait SECONDS" in said


async def test_given_back_it_is_free_at_once_and_the_fence_has_grown(make):
    async with make("one") as one:
        first = one.fence
    async with make("two") as two:
        assert two.fence == first + 1


async def test_it_is_waited_for(make):
    async with make("one") as one:
        waiting = asyncio.ensure_future(make("two", wait=30).__aenter__())
        await asyncio.sleep(0)
        assert not waiting.done()
    two = await waiting
    assert two.fence == one.fence + 1
    await two.__aexit__(None, None, None)


async def test_who_is_asked_to_stop_waits_no_more(make):
    stop = asyncio.Event()
    async with make("one"):
        waiting = asyncio.ensure_future(make("two", wait=3600, stop=stop).__aenter__())
        stop.set()
        with pytest.raises(Held):
            await waiting


async def test_a_strangers_lease_holds_until_its_time_is_over(make, leases):
    await of_a_stranger(leases, until=soon())
    with pytest.raises(Held, match=r"run R7 \(process 7 on elsewhere\)"):
        await make("one").__aenter__()
    await leases.update_one({}, {"$set": {"until": datetime.now(UTC) - timedelta(seconds=1)}})
    async with make("one") as one:
        assert one.fence == 42


async def test_the_lease_of_a_process_of_this_machine_that_has_ended_is_free(make, leases):
    async with make("one"):
        ours = (await leases.find_one())["holder"]
    dead = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await dead.wait()
    await leases.drop()
    await of_a_stranger(leases, until=soon(), place=ours["place"], pid=dead.pid, started="1")
    async with make("one") as one:
        assert one.fence == 42


async def test_a_process_of_another_start_is_another_process(make, leases):
    async with make("one"):
        ours = (await leases.find_one())["holder"]
    await leases.drop()
    await of_a_stranger(leases, until=soon(), place=ours["place"], pid=os.getpid(), started=ours["started"])
    with pytest.raises(Held):
        await make("one").__aenter__()
    await leases.update_one({}, {"$set": {"holder.started": "1"}})
    async with make("one"):
        pass


async def test_it_is_renewed_while_it_is_held(make, leases):
    async with make("one", seconds=0.3) as one:
        before = (await leases.find_one())["until"]
        for _ in range(200):
            await asyncio.sleep(0.01)
            if (await leases.find_one())["until"] > before:
                break
        else:
            pytest.fail("not renewed")
        await one.confirm()
        with pytest.raises(Held):
            await make("two").__aenter__()


async def test_whoever_was_held_up_and_lost_it_is_told_before_anything_leaves(make, leases, monkeypatch):
    async with make("one") as one:
        await one.confirm()
        await leases.update_one({}, {"$set": {"until": datetime.now(UTC) - timedelta(seconds=1)}})
        async with make("two"):
            monkeypatch.setattr("pipeline.tracos.lease._clock", much_later)
            with pytest.raises(Held, match=r"this run was held up, and run two .* nothing more was written"):
                await one.confirm()


async def test_whoever_was_held_up_while_nobody_came_goes_on(make, leases, monkeypatch):
    async with make("one") as one:
        await leases.update_one({}, {"$set": {"until": datetime.now(UTC) - timedelta(seconds=1)}})
        monkeypatch.setattr("pipeline.tracos.lease._clock", much_later)
        await one.confirm()
        assert (await leases.find_one())["until"].replace(tzinfo=UTC) > datetime.now(UTC)


async def test_a_lease_that_is_gone_with_its_database_is_told(make, leases, monkeypatch):
    async with make("one") as one:
        await leases.drop()
        monkeypatch.setattr("pipeline.tracos.lease._clock", much_later)
        with pytest.raises(Held, match="has lost its lease: MongoDB knows nothing of it"):
            await one.confirm()


async def test_a_lease_that_was_rolled_back_names_nobody_who_had_it_before(make, leases, monkeypatch):
    await of_a_stranger(leases, until=datetime.now(UTC) - timedelta(seconds=1))
    before = await leases.find_one()
    async with make("one") as one:
        await leases.replace_one({}, before)
        monkeypatch.setattr("pipeline.tracos.lease._clock", much_later)
        with pytest.raises(Held, match="has lost its lease") as held:
            await one.confirm()
    assert "R7" not in str(held.value)


async def test_of_many_who_come_at_once_one_gets_it(make):
    async def tried(number):
        try:
            return await make(str(number)).__aenter__()
        except Held:
            return None

    got = [lease for lease in await asyncio.gather(*map(tried, range(12))) if lease is not None]
    assert len(got) == 1
    await got[0].__aexit__(None, None, None)


@pytest.mark.parametrize(
    "odd", [{}, {"holder": 7, "until": "soon"}, {"until": 5, "token": None, "fence": "x"}, {"until": Regex("x")}]
)
async def test_a_lease_that_somebody_spoiled_is_no_end(make, leases, odd):
    await leases.insert_one({"_id": "lease", **odd})
    async with make("one") as one:
        assert one.fence >= 1
