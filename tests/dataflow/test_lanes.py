"""A stage whose work is done in lanes: the same batches, in the same order, from the same stream."""

import asyncio

import pytest
from aiostream import streamcontext

from pipeline.dataflow.lanes import Lanes, spread
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Batch, Envelope
from pipeline.dataflow.stages import map_items
from pipeline.errors import Fatal


class Doubling(Lanes):
    """Doubles, the last of those under way first."""

    def __init__(self, in_flight=3, after=0, stop_at=None, fail_at=None):
        self.in_flight, self.after, self.stop_at, self.fail_at = in_flight, after, stop_at, fail_at
        self.begun, self.events = [], []
        self._waiting = []

    async def open(self):
        self.events.append("open")

    async def close(self):
        self.events.append("close")

    async def work(self, batch):
        number = batch.items[0].payload
        self.begun.append(number)
        if number == self.fail_at:
            raise Fatal("no more")
        ready = asyncio.get_running_loop().create_future()
        self._waiting.append(ready)
        asyncio.get_running_loop().call_soon(self._let_the_last)
        await ready
        items = [Envelope(("lane", item.payload * 2), item.locator) for item in batch.items]
        return Batch(
            flow="f", received=batch.received, items=items, stop=Fatal("stop") if number == self.stop_at else None
        )

    def _let_the_last(self):
        if self._waiting:
            self._waiting.pop().set_result(None)


def batches(count, taken=None):
    async def read():
        for number in range(count):
            if taken is not None:
                taken.append(number)
            locator = Locator(str(number))
            yield Batch(flow="f", received=[locator], items=[Envelope(number, locator)])

    return read()


async def worked(lanes, count, taken=None):
    stage = spread(map_items(lambda number: ("here", number * 2), name="double"), lanes)
    async with streamcontext(stage(batches(count, taken))) as done:
        return [batch.items[0].payload async for batch in done]


async def test_what_comes_out_is_in_the_order_of_what_came_in():
    lanes = Doubling()
    assert await worked(lanes, 10) == [("lane", number * 2) for number in range(10)]
    assert lanes.begun == list(range(10))
    assert lanes.events == ["open", "close"]


async def test_the_first_are_worked_here_and_lanes_are_opened_only_where_more_comes():
    lanes = Doubling(after=4)
    assert await worked(lanes, 4) == [("here", number * 2) for number in range(4)]
    assert lanes.events == []
    assert await worked(lanes, 6) == [(place, n * 2) for n, place in enumerate(["here"] * 4 + ["lane"] * 2)]
    assert lanes.events == ["open", "close"]


async def test_nothing_comes_of_nothing():
    lanes = Doubling()
    assert await worked(lanes, 0) == []
    assert lanes.events == []


async def test_no_more_is_read_than_may_be_under_way():
    taken = []
    lanes = Doubling(in_flight=2)
    stage = spread(map_items(lambda number: number, name="same"), lanes)
    async with streamcontext(stage(batches(100, taken))) as done:
        await anext(done)
    assert len(taken) < 10
    assert lanes.events == ["open", "close"]


async def test_the_stream_ends_with_the_batch_after_which_the_run_stops():
    lanes = Doubling(stop_at=3)
    assert await worked(lanes, 10) == [("lane", number * 2) for number in range(4)]
    assert lanes.events == ["open", "close"]


async def test_a_lane_that_fails_stops_the_stream_and_all_are_closed():
    lanes = Doubling(fail_at=3)
    with pytest.raises(Fatal, match="no more"):
        await worked(lanes, 10)
    assert lanes.events == ["open", "close"]
