"""A room that many are in at once, or one alone."""

import asyncio
import random

import pytest

from pipeline.service.lanes.room import Room


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_wants_to_be_alone_is_and_everybody_comes_in(seed):
    room, chance = Room(), random.Random(seed)
    inside, seen = [], set()

    async def visit(number, alone):
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        async with room.entered(alone=alone):
            inside.append(number)
            seen.add(number)
            for _ in range(chance.randrange(4)):
                assert not alone or inside == [number]
                await asyncio.sleep(0)
            inside.remove(number)

    await asyncio.wait_for(asyncio.gather(*(visit(number, chance.random() < 0.3) for number in range(40))), 10)
    assert seen == set(range(40))


async def test_who_gives_up_waiting_to_be_alone_keeps_nobody_out():
    room = Room()
    async with room.entered(alone=False):
        waiting = asyncio.ensure_future(room.entered(alone=True).__aenter__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        later = asyncio.ensure_future(room.entered(alone=False).__aenter__())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not later.done()
        waiting.cancel()
        await asyncio.wait_for(later, 10)
