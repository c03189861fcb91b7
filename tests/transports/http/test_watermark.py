"""How far a list was read is remembered once all before it is settled, and never later than the server's clock."""

from datetime import timedelta
from typing import ClassVar

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Fate
from pipeline.dataflow.ports import NOTHING_IS_SURE
from pipeline.transports.http.watermark import Watermark
from tests.asking import START, client_of, ids, order, pull
from tests.places import Vouching


class TestWatermark:
    since: ClassVar = {"since_param": "updated_since", "page": "page", "page_size": 10, "overlap": 60.0}

    async def test_the_next_pull_begins_a_little_before_the_greatest_time_seen(self, erp, tmp_path):
        for number in range(30):
            erp.put(order(number))
        client = client_of(erp, tmp_path, **self.since)
        assert len(await pull(client)) == 30
        assert ids(await pull(client)) == [28, 29]
        assert erp.requests[-1].query["updated_since"] == "2026-10-01T00:28:00.000Z"

    async def test_everything_is_asked_for_again_once_something_is_not_where_it_was_delivered_to(self, erp, tmp_path):
        for number in range(30):
            erp.put(order(number))
        client, witness = client_of(erp, tmp_path, **self.since), Vouching()
        await pull(client, witness=witness)
        witness.lost = {"17"}
        assert len(await pull(client, witness=witness)) == 30
        witness.lost = set()
        assert ids(await pull(client, witness=witness)) == [28, 29]
        witness.unproven = {"29"}
        erp.edit(29)
        assert 29 in ids(await pull(client, witness=witness))
        assert len(await pull(client, witness=witness)) == 30

    async def test_what_is_not_settled_is_asked_for_again(self, erp, tmp_path):
        for number in range(30):
            erp.put(order(number))
        client = client_of(erp, tmp_path, **self.since)
        await pull(client, ack=False)
        assert len(await pull(client)) == 30

    async def test_a_time_after_the_servers_own_clock_does_not_hide_what_changes_until_then(self, erp, tmp_path):
        erp.put(order(1, updatedAt="2099-01-01T00:00:00Z"))
        client = client_of(erp, tmp_path, **self.since)
        await pull(client)
        erp.put(order(2))
        erp.edit(2, title="edited")
        assert 2 in ids(await pull(client))

    async def test_a_clock_that_is_an_hour_off_loses_nothing(self, erp, tmp_path):
        for skew in (timedelta(hours=-1), timedelta(hours=1)):
            erp.skew = skew
            client = client_of(erp, tmp_path / str(skew), **self.since)
            erp.put(order(1))
            erp.edit(1)
            await pull(client)
            erp.put(order(2))
            erp.edit(2)
            assert 2 in ids(await pull(client))

    def test_in_order_every_settled_beginning_is_sure(self):
        mark = Watermark(in_order=True)
        a, b, c = map(Locator, "abc")
        mark.begin({a: START, b: START + timedelta(1)})
        mark.begin({c: START + timedelta(2)})
        mark.settle({c: Fate.DELIVERED, a: Fate.DEAD})
        assert mark.advance() is None
        mark.settle({b: Fate.HELD})
        assert mark.advance() == START + timedelta(2)
        assert mark.advance() is None

    def test_what_is_left_for_the_next_run_must_be_asked_for_again(self):
        mark = Watermark(in_order=True)
        mark.begin({Locator("a"): START})
        mark.begin({Locator("b"): START + timedelta(1)})
        mark.begin({Locator("c"): START + timedelta(2)})
        mark.settle({Locator("a"): Fate.DELIVERED, Locator("b"): Fate.DEFERRED, Locator("c"): Fate.DELIVERED})
        mark.end()
        assert mark.advance() == START

    def test_out_of_order_nothing_is_sure_before_the_end(self):
        mark = Watermark()
        mark.begin({Locator("a"): START})
        mark.settle({Locator("a"): Fate.DELIVERED})
        assert mark.advance() is None
        mark.end()
        assert mark.advance() == START


class TestAllOfIt:
    """Where nobody vouches for what was taken, everything is read, and what is remembered stays as it is."""

    async def test_it_is_read_without_the_watermark_which_is_believed_again_afterwards(self, erp, tmp_path):
        for number in range(30):
            erp.put(order(number))
        client = client_of(erp, tmp_path, **TestWatermark.since)
        await pull(client)
        assert len(await pull(client, ack=False, witness=NOTHING_IS_SURE)) == 30
        assert ids(await pull(client)) == [28, 29]

    async def test_that_it_shows_all_is_said_only_of_a_whole_list_read_to_its_end(self, erp, tmp_path):
        for number in range(30):
            erp.put(order(number))
        client = client_of(erp, tmp_path, **TestWatermark.since)
        await pull(client)
        for witness, shows_all in ((NOTHING_IS_SURE, True), (Vouching(), False)):
            async with client.source(witness) as source:
                groups = source.read()
                await anext(groups)
                assert not source.shows_all
                async for _ in groups:
                    pass
                assert source.shows_all is shows_all
        erp.orders["odd"] = {"title": "without an id"}
        async with client.source() as source:
            assert len([group async for group in source.read()]) == 4
            assert not source.shows_all
