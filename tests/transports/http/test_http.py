"""JSON APIs: pages, watermarks, ETags, credentials, pace and faults, against a real server on this machine."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from pipeline.clients.connector import ClientSettings, Outgoing
from pipeline.clients.rest_json import connect
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Fate, Outcome
from pipeline.errors import Deferred, Fatal, Outage, Rejected, WrongSettings
from pipeline.testing import FakeErp, Faults
from pipeline.transports.http.limits import Breaker, Pace
from pipeline.transports.http.watermark import Watermark
from tests.places import Vouching, deliver_all

START = datetime(2026, 10, 1, tzinfo=UTC)


def order(number, **fields):
    moment = (START + timedelta(minutes=number)).isoformat()
    return {"id": number, "status": "NEW", "title": f"t{number}", "createdAt": moment, "updatedAt": moment} | fields


@pytest.fixture
def erp():
    with FakeErp() as erp:
        yield erp


def client_of(erp, tmp_path, secrets=None, **options):
    options = {"url": erp.url, "items": "items", "size_param": "limit", "retry_seconds": 5.0} | options
    settings = ClientSettings(name="north", options=options, state_dir=tmp_path, secret=(secrets or {}).get)
    return connect(settings)


async def pull(client, *, ack=True, witness=None):
    """The payloads of one pull; with ``ack`` all are settled, page by page."""
    found = []
    async with client.source(witness or Vouching()) as source:
        async for group in source.read():
            found += [client.parse(item.payload) for item in group]
            if ack:
                await deliver_all(source, group)
    return found


def ids(found):
    return [one["id"] for one in found]


async def push(client, *orders):
    items = [Envelope(one, Locator(one.id), raw=one.body) for one in orders]
    async with client.sink() as sink:
        result = await sink.write_batch(items)
    if result.stop is not None:
        raise result.stop
    return result.outcomes


def outgoing(number, title="new", **more):
    return Outgoing(str(number), b'{"id": %d, "title": "%s"}' % (number, title.encode()), **more)


class TestPages:
    @pytest.mark.parametrize(
        "paging",
        [
            {"page": "page"},
            {"page": "offset"},
            {"page": "cursor", "next": "cursor"},
            {"page": "link", "next": "next"},
            {"page": "link"},
            {"page": "none", "params": {"limit": "100"}},
        ],
        ids=str,
    )
    async def test_every_order_is_read_once_by_each_way_of_paging(self, erp, tmp_path, paging):
        for number in range(23):
            erp.put(order(number))
        client = client_of(erp, tmp_path, page_size=5, **paging)
        assert ids(await pull(client)) == list(range(23))
        assert len(erp.requests) == (1 if paging["page"] == "none" else 5)

    async def test_an_empty_list(self, erp, tmp_path):
        assert await pull(client_of(erp, tmp_path, page="page")) == []

    async def test_original_bytes_are_kept(self, erp, tmp_path):
        erp.put(order(1) | {"odd": 1.50})
        async with client_of(erp, tmp_path).source() as source:
            ((item,),) = [group async for group in source.read()]
        assert (item.locator, item.raw) == (Locator("1"), item.payload)
        assert b'"odd": 1.5' in item.raw

    async def test_orders_without_an_id_are_yielded_too_and_the_same_one_twice_has_two_places(self, erp, tmp_path):
        erp.put(order(1))
        erp.orders["x"] = {"status": "NEW"}
        erp.faults.once("none", "duplicate")
        async with client_of(erp, tmp_path, page="offset", page_size=1).source() as source:
            locators = [str(item.locator) async for group in source.read() for item in group]
        assert locators[0] == "1"
        assert locators[1] == "1#2"
        assert locators[2].startswith("without-an-id-")

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"items": "nothing.here"}, "has nothing at 'nothing.here': see items"),
            ({"items": ""}, "no array of orders at its top"),
            ({"page": "link", "next": "items"}, "no link and no cursor at items: see next"),
        ],
    )
    async def test_a_list_that_is_none_stops_with_what_to_do(self, erp, tmp_path, options, why):
        erp.put(order(1))
        with pytest.raises(Fatal, match=why):
            await pull(client_of(erp, tmp_path, **options))

    async def test_a_next_page_at_another_address_gets_nothing_of_ours(self, erp, tmp_path):
        erp.put(order(1) | {"next": "https://elsewhere.example/steal"})
        erp.page = lambda query, fault=None: ({"items": [], "next": "https://elsewhere.example/"}, {})
        with pytest.raises(Fatal, match="another address, which gets no credentials"):
            await pull(client_of(erp, tmp_path, page="link", next="next"))

    async def test_a_page_that_is_followed_by_itself(self, erp, tmp_path):
        erp.page = lambda query, fault=None: ({"items": [], "cursor": "same"}, {})
        with pytest.raises(Fatal, match="followed by itself"):
            await pull(client_of(erp, tmp_path, page="cursor", next="cursor"))


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


class TestFaults:
    @pytest.mark.parametrize("fault", ["429", "500", "503", "drop", "torn", "garbled"])
    async def test_a_pull_goes_on_after_each(self, erp, tmp_path, fault):
        for number in range(12):
            erp.put(order(number))
        erp.faults.once("none", fault, fault)
        client = client_of(erp, tmp_path, page="page", page_size=5)
        assert ids(await pull(client)) == list(range(12))

    @pytest.mark.parametrize("fault", ["429", "500", "503", "drop", "torn"])
    async def test_a_push_is_applied_once(self, erp, tmp_path, fault):
        erp.faults.once(fault, fault)
        assert await push(client_of(erp, tmp_path), outgoing(1)) == [Outcome.SENT]
        assert (erp.orders["1"]["title"], erp.applied) == ("new", 1)

    async def test_an_outage_is_one(self, erp, tmp_path):
        erp.faults.share, erp.faults.kinds = 1.0, ("500",)
        client = client_of(erp, tmp_path, attempts=2)
        with pytest.raises(Outage, match=r"127.0.0.1:.* answers 500: nothing is lost"):
            await pull(client)

    async def test_pushes_that_fail_are_left_and_after_some_in_a_row_the_host_is_left_alone(self, erp, tmp_path):
        erp.faults.share, erp.faults.kinds = 1.0, ("503",)
        client = client_of(erp, tmp_path, attempts=1, parallel=1)
        results = await push(client, outgoing(1), outgoing(2))
        assert [type(one) for one in results] == [Deferred, Deferred]
        before = len(erp.requests)
        with pytest.raises(Outage, match="failed 3 requests in a row"):
            await push(client, outgoing(3), outgoing(4), outgoing(5))
        assert len(erp.requests) == before + 1

    async def test_a_wait_longer_than_the_settings_allow_is_not_waited(self, erp, tmp_path):
        erp.faults.once("429")
        erp.faults.retry_after = "3600"
        with pytest.raises(Outage, match="wants to be left alone for 3600 s"):
            await asyncio.wait_for(pull(client_of(erp, tmp_path)), 5)

    def test_a_breaker_lets_one_try_again_after_a_while(self):
        now = [0.0]
        breaker = Breaker("h", clock=lambda: now[0])
        for _ in range(3):
            breaker.enter()
            breaker.failed()
        with pytest.raises(Outage):
            breaker.enter()
        now[0] = 31
        breaker.enter()
        breaker.failed()
        with pytest.raises(Outage):
            breaker.enter()
        now[0] = 62
        breaker.enter()
        breaker.succeeded()
        breaker.enter()


class TestPush:
    async def test_a_refusal_is_the_orders_own_and_tells_the_reason(self, erp, tmp_path):
        erp.refuse["2"] = "the asset 4711\nis\tretired" + "x" * 1000
        results = await push(client_of(erp, tmp_path), outgoing(1), outgoing(2), outgoing(3))
        assert [type(one) for one in results] == [Outcome, Rejected, Outcome]
        assert str(results[1]).startswith("127.0.0.1:")
        assert "refuses it (422): the asset 4711 is retired" in str(results[1])
        assert len(str(results[1])) < 400

    async def test_the_same_is_applied_once_and_another_edit_that_says_the_same_again(self, erp, tmp_path):
        client = client_of(erp, tmp_path)
        for raw in (b"rev 1", b"rev 1", b"rev 2"):
            async with client.sink() as sink:
                await sink.write_batch([Envelope(outgoing(1), Locator("1"), raw=raw)])
        assert erp.applied == 2

    async def test_an_order_that_was_changed_since_it_was_read_is_read_and_merged_first(self, erp, tmp_path):
        client = client_of(erp, tmp_path, etag="_etag", since_param="updated_since", overlap=0.0)
        erp.put(order(1))
        await pull(client)
        assert await push(client, outgoing(1)) == [Outcome.SENT]
        assert await push(client, outgoing(1, "again")) == [Outcome.SENT]
        erp.put(order(1, title="theirs"))  # its time is not newer: only the ETag tells
        (result,) = await push(client, outgoing(1, "ours"))
        assert isinstance(result, Deferred)
        assert "theirs" in [one["title"] for one in await pull(client)]
        assert await push(client, outgoing(1, "ours")) == [Outcome.SENT]

    async def test_what_is_new_is_created_by_its_own_request_and_never_over_another(self, erp, tmp_path):
        client = client_of(erp, tmp_path, etag="_etag", create="POST", push="PATCH")
        assert await push(client, outgoing(1, is_new=True)) == [Outcome.SENT]
        assert (erp.requests[-1].method, erp.requests[-1].path) == ("POST", "/orders")
        erp.put(order(2, title="theirs"))
        (result,) = await push(client, outgoing(2, is_new=True))
        assert isinstance(result, Deferred)
        assert erp.orders["2"]["title"] == "theirs"

    async def test_an_id_cannot_lead_to_another_address(self, erp, tmp_path):
        await push(client_of(erp, tmp_path), Outgoing("../token?x=/", b"{}"))
        assert erp.requests[-1].path == "/orders/..%2Ftoken%3Fx%3D%2F"


class TestAuth:
    @pytest.mark.parametrize(
        ("auth", "header"),
        [
            ({"type": "bearer", "token_env": "A"}, "Bearer aaa"),
            ({"type": "basic", "user_env": "A", "password_env": "B"}, "Basic YWFhOmJiYg=="),
            ({"type": "api_key", "key_env": "A", "header": "Authorization"}, "aaa"),
        ],
    )
    async def test_each_kind(self, erp, tmp_path, auth, header):
        erp.token = header
        erp.put(order(1))
        assert len(await pull(client_of(erp, tmp_path, {"A": "aaa", "B": "bbb"}, auth=auth))) == 1

    async def test_an_oauth2_token_is_fetched_and_refreshed(self, erp, tmp_path):
        erp.token = "Bearer first"
        erp.put(order(1))
        auth = {"type": "oauth2", "token_url": erp.url.replace("orders", "token")}
        auth |= {"client_id_env": "A", "client_secret_env": "B"}
        client = client_of(erp, tmp_path, {"A": "id", "B": "secret"}, auth=auth)
        await pull(client)
        erp.token = "Bearer second"
        await pull(client)
        assert [one.path for one in erp.requests] == ["/token", "/orders", "/orders", "/token", "/orders"]

    async def test_a_refusal_stops_and_tells_no_secret(self, erp, tmp_path):
        erp.token = "Bearer right"
        with pytest.raises(Fatal, match="refuses us") as caught:
            await pull(client_of(erp, tmp_path, {"A": "wrong"}, auth={"type": "bearer", "token_env": "A"}))
        assert "wrong" not in str(caught.value)

    def test_a_secret_that_is_not_set_is_told_by_its_name(self, erp, tmp_path):
        with pytest.raises(WrongSettings, match="north: the environment variable A is not set"):
            client_of(erp, tmp_path, auth={"type": "bearer", "token_env": "A"})

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"url": "ftp://x"}, "north: url: expected an address"),
            ({"url": "https://user:secret@erp.example"}, "no password in an address"),
            ({"url": "https://erp.example/orders?plant=7"}, "north: url: expected no query in it"),
            ({"auth": {"type": "magic"}}, "north: auth: .*magic"),
            ({"auth": {"type": "bearer", "token": "abc"}}, "north: auth: "),
            ({"page": "cursor"}, "north: next: required"),
            ({"rate": 0}, "north: rate: "),
            ({"pages": "x"}, "north: pages: there is no such option"),
        ],
    )
    def test_wrong_options_are_told(self, erp, tmp_path, options, why):
        with pytest.raises(WrongSettings, match=why):
            client_of(erp, tmp_path, **options)


class TestPace:
    async def test_never_more_requests_than_the_rate(self, erp, tmp_path):
        for number in range(30):
            erp.put(order(number))
        client = client_of(erp, tmp_path, page="page", page_size=1, rate=50.0)
        await pull(client)
        times = [one.at for one in erp.requests]
        assert len(times) == 31
        assert times[-1] - times[0] >= 30 / 50 * 0.95

    async def test_turns_are_given_at_the_rate_with_a_burst_after_a_pause(self, monkeypatch):
        now, slept = [100.0], []

        async def sleep(seconds):
            slept.append(seconds)

        monkeypatch.setattr("pipeline.transports.http.limits.asyncio.sleep", sleep)
        pace = Pace(10, 3, clock=lambda: now[0])
        for _ in range(5):
            await pace.take()
        assert slept == pytest.approx([0.1, 0.2])
        pace.hold(5)
        await pace.take()
        assert slept[-1] == pytest.approx(5)


class TestDoctor:
    def test_it_tells_whether_the_list_answers_and_the_clocks_agree(self, erp, tmp_path):
        assert [one.state for one in client_of(erp, tmp_path).check()] == ["ok"]
        erp.skew = timedelta(hours=1)
        assert [one.state for one in client_of(erp, tmp_path).check()] == ["ok", "warning"]
        (finding,) = client_of(erp, tmp_path, items="nothing").check()
        assert (finding.state, "see items" in finding.says) == ("problem", True)


def test_faults_come_again_with_the_same_seed():
    first, second = (Faults(0.5, seed=7) for _ in range(2))
    assert [first.draw() for _ in range(100)] == [second.draw() for _ in range(100)]
