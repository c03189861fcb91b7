"""What a lane tells of a group is all that became of it, whatever kind of sink it has."""

from pipeline.dataflow.messages import BatchResult, Outcome
from pipeline.dataflow.ports import BatchSink
from pipeline.dataflow.stages import deliver
from pipeline.errors import Deferred, Fatal, Gone, Reason, Rejected
from pipeline.service.lanes.groups import Groups
from pipeline.service.lanes.wire import Deal, Problem
from pipeline.testing.ends import ListSink

PARTS = ["0", "1", "2", "3"]


def deal(number, payloads=(b"a", b"b", b"c", b"d")):
    return Deal(number, "erp.outbound", list(payloads), [f"file {number}"] * 4, PARTS, [None] * 4)


async def all_of(*deals):
    for one in deals:
        yield one


class Sink(BatchSink):
    """It knows everything that a sink can say."""

    async def write_batch(self, items):
        outcomes = [Outcome.SENT, Deferred("later"), Gone("they have it no more"), Rejected("no")]
        return BatchResult(outcomes, stop=Fatal("enough"), called={0: "E1"})


async def test_all_that_became_of_it():
    groups = Groups(may_write)
    stage = deliver(groups.in_turn(Sink(), len))
    [done] = [done async for _, done in groups.through(stage, all_of(deal(7)))]
    assert (done.number, done.outcomes, done.deferred, done.gone, done.called) == (
        7,
        {0: "sent"},
        [1, 2],
        [2],
        {0: "E1"},
    )
    assert done.failed == [(3, "deliver", (Reason("no"),))]
    assert done.stop == Problem("Fatal", "enough")


async def may_write(number, keys):
    """At once."""


async def test_each_group_asks_before_it_is_written():
    asked, sink = [], ListSink()

    async def ask(number, keys):
        asked.append((number, set(keys), len(sink.written)))

    groups = Groups(ask)
    stage = deliver(groups.in_turn(sink, int))
    payloads = [b"01", b"01", b"02", b"02"]
    worked = groups.through(stage, all_of(deal(3, payloads), deal(4, payloads)), lambda raw: raw.decode())
    assert [done.number async for _, done in worked] == [3, 4]
    assert asked == [(3, {1, 2}, 0), (4, {1, 2}, 4)]
    assert sink.written == ["01", "01", "02", "02"] * 2
