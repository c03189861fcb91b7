"""Laws of the machinery, for random inputs and failures at random stages."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import (
    BatchResult,
    Deferred,
    Empty,
    Envelope,
    Fatal,
    Fate,
    Locator,
    Outcome,
    Reason,
    Rejected,
    Report,
    Sink,
    Spared,
    Unreadable,
    dead_letters,
    deliver,
    filter_items,
    flat_map_items,
    hold_known,
    map_items,
    read,
    run,
    settle,
)
from pipeline.errors import Gone, Unhandled
from pipeline.testing import ListSink, ListSource, MemoryDeadLetters

fates = st.sampled_from(["pass", "unread", "map", "async map", "skip", "refuse", "defer"])


def item(number, fate):
    if fate == "unread":
        return Unreadable(Locator(str(number)), (Reason("cannot be read"),), b"raw")
    return Envelope(fate, Locator(str(number)), b"raw")


def fail_when(name):
    def function(payload):
        if payload == name:
            raise ValueError("no")
        return payload

    return function


def judge(payload):
    return {"refuse": Rejected("refused"), "defer": Deferred("later")}.get(payload, Outcome.CREATED)


def world(fates, group=3):
    journal = []
    source = ListSource([item(number, fate) for number, fate in enumerate(fates)], group=group, journal=journal)
    sink, dead = ListSink(judge, journal=journal), MemoryDeadLetters(journal=journal)

    async def slowly(payload):
        await asyncio.sleep(0)
        return fail_when("async map")(payload)

    chain = (
        read(source, flow="f")
        | hold_known(dead)
        | map_items(fail_when("map"))
        | map_items(slowly)
        | filter_items(lambda payload: payload != "skip")
        | deliver(sink)
        | dead_letters(dead)
        | settle(source)
    )
    return chain, source, sink, dead, journal


@given(st.lists(fates, max_size=12), st.integers(1, 5))
def test_every_item_is_accounted_for_and_settled_once(fates, group):
    chain, source, _, dead, _ = world(fates, group)
    report = asyncio.run(run(chain))
    assert report.received == len(fates)
    parts = report.outcomes.total() + report.skipped + report.held + report.deferred + report.dead.total()
    assert parts == len(fates)
    became = {"pass": Fate.DELIVERED, "skip": Fate.SKIPPED, "defer": Fate.DEFERRED}
    assert source.fates == {str(number): became.get(fate, Fate.DEAD) for number, fate in enumerate(fates)}
    assert source.pending == 0
    assert {str(letter.locator) for letter in dead.letters} == set(source.dead)
    assert report.dead == {
        stage: count
        for stage, count in {
            "read": fates.count("unread"),
            "map": fates.count("map") + fates.count("async map"),
            "deliver": fates.count("refuse"),
        }.items()
        if count
    }


@given(st.lists(fates, max_size=12))
def test_nothing_is_acked_before_it_is_delivered_and_the_dead_are_safe(fates):
    chain, _, _, _, journal = world(fates)
    asyncio.run(run(chain))
    safe = set()
    for event, locators in journal:
        if event in ("write", "letter"):
            safe |= set(locators)
        elif event == "settle":
            assert {locator for locator, fate in locators.items() if fate in (Fate.DELIVERED, Fate.DEAD)} <= safe


@given(st.lists(fates, max_size=12))
def test_a_second_run_tries_nothing_that_is_dead_and_unchanged(fates):
    chain, source, _, dead, _ = world(fates)
    asyncio.run(run(chain))
    known = len(dead.letters)
    source.fates.clear()
    report = asyncio.run(run(chain))
    assert (report.held, len(dead.letters), report.dead.total()) == (known, known, 0)
    assert {str(letter.locator) for letter in dead.letters} == {
        locator for locator, fate in source.fates.items() if fate is Fate.HELD
    }


@given(st.lists(st.integers(0, 3), max_size=8))
def test_an_item_of_several_is_settled_as_one(counts):
    source, sink, dead = (
        ListSource(counts),
        ListSink(lambda n: Rejected("x") if n == 3 else Outcome.SENT),
        MemoryDeadLetters(),
    )
    chain = (
        read(source, flow="f") | flat_map_items(lambda n: [n] * n) | deliver(sink) | dead_letters(dead) | settle(source)
    )
    report = asyncio.run(run(chain))
    assert report.skipped == counts.count(0)
    assert sorted(source.acked) == sorted(str(at) for at, count in enumerate(counts) if count != 3)
    assert set(source.dead) == {str(at) for at, count in enumerate(counts) if count == 3}
    assert sorted(sink.written) == sorted(n for n in counts for _ in range(n) if n != 3)


class Failing(ListSink):
    def __init__(self, error, **kwargs):
        super().__init__(**kwargs)
        self.error = error

    async def write_batch(self, items):
        if self.written:
            raise self.error
        return await super().write_batch(items)


def opened_and_closed(journal):
    opened = [end for event, end in journal if event == "open"]
    closed = [end for event, end in journal if event == "close"]
    return len(opened), len(opened) == len(closed)


async def test_fatal_acks_nothing_of_its_batch_and_closes_everything():
    journal = []
    source = ListSource("abcdef", journal=journal)
    dead = MemoryDeadLetters(journal=journal)
    sink = Failing(Fatal("the disk is full"), journal=journal)
    with pytest.raises(Fatal, match="disk is full"):
        await run(read(source, flow="f") | deliver(sink) | dead_letters(dead) | settle(source))
    assert (source.acked, source.dead) == (["0", "1"], [])
    assert opened_and_closed(journal) == (3, True)


async def test_a_sink_that_fails_as_a_whole_makes_dead_letters_of_its_batch():
    source, dead = ListSource("abcd"), MemoryDeadLetters()
    report = await run(
        read(source, flow="f") | deliver(Failing(KeyError("secret"))) | dead_letters(dead) | settle(source)
    )
    assert (report.outcomes, report.dead) == ({"sent": 2}, {"deliver": 2})
    assert [str(reason) for reason in dead.letters[0].reasons] == ["unexpected KeyError in the deliver stage"]


async def test_a_chain_without_dead_letters_is_loud():
    source = ListSource(["pass", "map"])
    with pytest.raises(Unhandled, match="no dead_letters stage"):
        await run(read(source, flow="f") | map_items(fail_when("map")) | deliver(ListSink()) | settle(source))
    assert source.acked == []
    with pytest.raises(Unhandled):
        await run(read(source, flow="f") | map_items(fail_when("map")))


async def test_cancelling_closes_every_end():
    journal = []
    source, dead = ListSource("abcd", journal=journal), MemoryDeadLetters(journal=journal)
    reached = asyncio.Event()

    class Stuck(ListSink):
        async def write_batch(self, items):
            reached.set()
            await asyncio.Event().wait()

    sink = Stuck(journal=journal)
    task = asyncio.create_task(run(read(source, flow="f") | deliver(sink) | dead_letters(dead) | settle(source)))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert opened_and_closed(journal) == (3, True)
    assert source.acked == []


async def test_stop_reads_no_more_and_settles_what_is_on_its_way():
    stop = asyncio.Event()
    journal = []
    source, sink = ListSource("abcdefghijkl", journal=journal), ListSink(journal=journal)

    def stopping(payload):
        if payload == "c":
            stop.set()
        return payload

    report = await run(read(source, flow="f", stop=stop) | map_items(stopping) | deliver(sink) | settle(source))
    assert 4 <= report.received < 12
    assert len(source.acked) == len(sink.written) == report.received
    assert opened_and_closed(journal) == (2, True)


async def test_no_more_is_read_ahead_than_a_few_groups():
    """What is on its way is bounded, however slow the sink is."""
    reading = []

    class Watched(ListSource):
        async def read(self):
            async for group in super().read():
                reading.append(group)
                yield group

    class Slow(ListSink):
        async def write_batch(self, items):
            for _ in range(50):
                await asyncio.sleep(0)
            assert len(reading) <= self.written_groups + 4
            self.written_groups += 1
            return await super().write_batch(items)

        written_groups = 0

    source = Watched(range(100))
    await run(read(source, flow="f") | deliver(Slow()) | settle(source))
    assert len(source.acked) == 100


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_sink_of_single_items_writes_no_more_at_once_than_it_allows(limit):
    class One(Sink):
        task_limit = limit
        now = most = 0

        async def write(self, payload):
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            self.now -= 1
            if payload == "c":
                raise Rejected("c is refused")

    source, sink, dead = ListSource("abcdef", group=6), One(), MemoryDeadLetters()
    report = await run(read(source, flow="f") | deliver(sink) | dead_letters(dead) | settle(source))
    assert (report.outcomes, report.dead, sink.most) == ({"sent": 5}, {"deliver": 1}, limit)


async def test_stages_join_before_they_have_a_source():
    loud = map_items(str.upper) | map_items(lambda text: text + "!") | filter_items(lambda text: text != "B!")
    source, sink = ListSource("abc"), ListSink()
    await run(read(source, flow="f") | loud | deliver(sink) | settle(source))
    assert sink.written == ["A!", "C!"]
    assert repr(loud) == "<Stage map | map | filter>"


class Overlapping(ListSink):
    """Takes two batches at once; ``under_way`` are their first payloads."""

    in_flight = 2

    def __init__(self, fails_at=None):
        super().__init__()
        self.under_way, self.most, self.abandoned, self.fails_at = [], 0, [], fails_at

    async def write_batch(self, items):
        first = items[0].payload
        self.under_way.append(first)
        self.most = max(self.most, len(self.under_way))
        try:
            for _ in range(20 if len(self.under_way) == 1 else 1):  # the second is done before the first
                await asyncio.sleep(0)
            if first == self.fails_at:
                raise Fatal("the disk is full")
        except asyncio.CancelledError:
            self.abandoned.append(first)
            raise
        finally:
            self.under_way.remove(first)
        return await super().write_batch(items)


async def test_a_sink_may_take_several_batches_at_once_and_they_leave_in_order():
    source, sink = ListSource(range(20)), Overlapping()
    report = await run(read(source, flow="f") | deliver(sink) | settle(source))
    assert sink.most == 2
    assert report.outcomes == {"sent": 20}
    assert source.acked == [str(number) for number in range(20)]
    assert sorted(sink.written) == list(range(20)) != sink.written


async def test_what_stops_one_batch_ends_the_other_before_the_sink_is_closed():
    source, sink = ListSource(range(20)), Overlapping(fails_at=4)
    with pytest.raises(Fatal, match="disk is full"):
        await run(read(source, flow="f") | deliver(sink) | settle(source))
    assert sink.under_way == []
    assert set(source.acked) <= {str(number) for number in range(4)}


async def test_a_source_waits_for_nothing_that_was_stopped_before_it_was_settled():
    source = ListSource("abc")
    with pytest.raises(Fatal):
        await run(read(source, flow="f") | deliver(Overlapping(fails_at="c")) | settle(source))
    assert source.fates == {"0": Fate.DELIVERED, "1": Fate.DELIVERED}


class Stopping(ListSink):
    """Delivers ``before`` items in all, and then stops the run; what it was asked for afterwards is in ``late``."""

    def __init__(self, before, **kwargs):
        super().__init__(**kwargs)
        self.before, self.late, self.has_stopped = before, [], False

    async def write_batch(self, items):
        if self.has_stopped:
            self.late += items
        left = self.before - len(self.written)
        result = await super().write_batch(items[:left])
        if len(items) <= left:
            return result
        self.has_stopped = True
        rest = [Deferred("the run stops")] * (len(items) - left)
        return BatchResult([*result.outcomes, *rest], Fatal("the rest must wait"))


class Slow(ListSource):
    """Takes its time to settle, in which another batch could be delivered."""

    async def settle(self, fates):
        for _ in range(50):
            await asyncio.sleep(0)
        await super().settle(fates)


@given(st.lists(fates, min_size=1, max_size=12), st.integers(0, 12), st.integers(1, 5))
def test_what_was_delivered_before_a_stop_is_settled_and_nothing_else(kinds, before, group):
    source = Slow([item(number, fate) for number, fate in enumerate(kinds)], group=group)
    sink, dead, report = Stopping(before), MemoryDeadLetters(), Report()
    chain = read(source, flow="f") | map_items(fail_when("map")) | deliver(sink) | dead_letters(dead) | settle(source)
    reached = len([kind for kind in kinds if kind not in ("unread", "map")])
    if reached <= before:
        asyncio.run(run(chain, report=report))
    else:
        with pytest.raises(Fatal, match="the rest must wait"):
            asyncio.run(run(chain, report=report))
    assert len(source.acked) == len(sink.written) == report.outcomes.total() == min(before, reached)
    assert sink.late == []
    assert sorted(map(str, (letter.locator for letter in dead.letters))) == sorted(source.dead)
    assert report.received == len(source.fates)


async def test_a_stop_is_raised_where_nothing_settles_too():
    with pytest.raises(Fatal, match="the rest must wait"):
        await run(read(ListSource("abc"), flow="f") | deliver(Stopping(1)))


async def test_a_sink_of_single_items_that_stops_keeps_what_it_took():
    class Full(Sink):
        async def write(self, payload):
            if payload == "c":
                raise Fatal("the disk is full")

    source = ListSource("abcdef", group=4)
    with pytest.raises(Fatal, match="disk is full"):
        await run(read(source, flow="f") | deliver(Full()) | settle(source))
    assert source.acked == ["0", "1"]
    assert source.fates["2"] is source.fates["3"] is Fate.DEFERRED


async def test_a_place_without_items_is_settled_and_counted_apart():
    source = ListSource([Empty(Locator("empty.json")), "a"])
    report = await run(read(source, flow="f") | deliver(ListSink()) | settle(source))
    assert (report.received, report.empty, report.skipped) == (1, 1, 0)
    assert source.fates == {"empty.json": Fate.SKIPPED, "1": Fate.DELIVERED}


async def test_places_that_were_spared_are_counted_apart():
    class Sparing(ListSource):
        async def read(self):
            yield [Spared(7)]
            async for group in super().read():
                yield group

    source, sink = Sparing("abc"), ListSink()
    report = await run(read(source, flow="f") | map_items(str.upper) | deliver(sink) | settle(source))
    assert (report.received, report.spared, sink.written) == (3, 7, ["A", "B", "C"])


async def test_a_source_may_settle_several_batches_at_once():
    class Slow(ListSource):
        in_flight = 2
        now = most = 0

        async def settle(self, fates):
            self.now += 1
            self.most = max(self.most, self.now)
            for _ in range(50):
                await asyncio.sleep(0)
            self.now -= 1
            await super().settle(fates)

    source = Slow(range(20))
    await run(read(source, flow="f") | deliver(ListSink()) | settle(source))
    assert source.most == 2
    assert source.acked == [str(number) for number in range(20)]


async def test_a_source_learns_the_ids_that_a_sink_gives_before_its_items_are_settled():
    class Naming(ListSink):
        async def write_batch(self, items):
            result = await super().write_batch(items)
            given = {position: f"E{item.payload}" for position, item in enumerate(items) if item.payload != "b"}
            return BatchResult(result.outcomes, called=given)

    class Learning(ListSource):
        def learn(self, called, gone):
            assert list(gone) == []
            assert not set(map(str, called)) & set(self.fates)
            self.called |= {str(locator): given for locator, given in called.items()}

    source = Learning("abc", group=2)
    source.called = {}
    await run(read(source, flow="f") | deliver(Naming()) | settle(source))
    assert source.called == {"0": "Ea", "2": "Ec"}


async def test_a_source_learns_which_items_the_other_side_has_no_more():
    class Missing(ListSink):
        async def write_batch(self, items):
            result = await super().write_batch(items)
            gone = [Gone("not there") if item.payload == "b" else None for item in items]
            return BatchResult([one or outcome for one, outcome in zip(gone, result.outcomes, strict=True)])

    class Learning(ListSource):
        def learn(self, called, gone):
            self.gone += map(str, gone)

    source = Learning("abc")
    source.gone = []
    report = await run(read(source, flow="f") | deliver(Missing()) | settle(source))
    assert source.gone == ["1"]
    assert source.fates["1"] is Fate.DEFERRED
    assert report.deferred == 1
