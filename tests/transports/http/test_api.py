"""An API that fails is asked again, at its pace, and left alone when it stays away."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Deferred, Fatal, Outage
from pipeline.testing import Faults
from pipeline.transports.http.headers import http_date, retry_after
from pipeline.transports.http.limits import Breaker, Pace
from tests.asking import client_of, ids, order, outgoing, pull, push
from tests.scripted import Reply


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


def test_faults_come_again_with_the_same_seed():
    first, second = (Faults(0.5, seed=7) for _ in range(2))
    assert [first.draw() for _ in range(100)] == [second.draw() for _ in range(100)]


NOW = datetime(2026, 10, 31, 12, tzinfo=UTC)


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("said", "seconds"),
        [
            ("0", 0),
            (" 120 ", 120),
            ("Sat, 31 Oct 2026 12:00:05 GMT", 5),
            ("Saturday, 31-Oct-26 12:00:05 GMT", 5),
            ("Sat Oct 31 12:00:05 2026", 5),
            ("Sat, 31 Oct 2026 11:00:00 GMT", 0),
            ("Sat, 31 Oct 2026 14:00:05 +0200", 5),
            ("99999999999", 99999999999),
            (None, None),
            ("", None),
            ("\x1d1", 1),
            ("-1", None),
            ("0.5", None),
            ("soon", None),
            ("1, 1", None),
            ("²", None),
            ("٣", None),
            ("1" * 5000, None),
            ("Sat, 31 Oct 20266 12:00:05 GMT", None),
            ("Sat, 99 Oct 2026 12:00:05 GMT", None),
        ],
    )
    def test_both_forms_and_what_is_neither(self, said, seconds):
        assert retry_after(said, NOW) == seconds

    @given(st.text(max_size=40))
    def test_any_text(self, said):
        retry_after(said, NOW)
        http_date(said)

    def test_without_the_servers_clock_ours_counts(self):
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
        assert retry_after(later, None) == pytest.approx(29, abs=2)

    @pytest.mark.parametrize("hours", [1, -1])
    async def test_a_date_is_measured_by_the_servers_own_clock(self, serve, tmp_path, hours):
        now = datetime.now(UTC) + timedelta(hours=hours)

        def answer(asked):
            if len(server.asked) > 1:
                return {"items": [order(1)]}
            after = format_datetime(now + timedelta(seconds=1), usegmt=True)
            return Reply({}, 429, {"Retry-After": after}, date=now)

        server = serve(answer)
        start = time.monotonic()
        assert ids(await pull(client_of(server, tmp_path, attempts=4, retry_seconds=3.0))) == [1]
        assert 0.9 < time.monotonic() - start < 3

    async def test_an_odd_one_is_no_exception(self, serve, tmp_path):
        later = iter([Reply({}, 429, {"Retry-After": "\u00b2"}), {"items": []}])
        assert await pull(client_of(serve(lambda asked: next(later)), tmp_path)) == []


class TestPatience:
    async def test_pulling_and_pushing_each_have_their_own(self, serve, tmp_path):
        server = serve(lambda asked: Reply({}, 503))
        client = client_of(server, tmp_path, attempts=3, push_attempts=1)
        with pytest.raises(Outage):
            await pull(client)
        assert len(server.asked) == 3
        await push(client, outgoing(1))
        assert len(server.asked) == 4

    async def test_a_long_wait_is_too_long_for_a_push_alone(self, serve, tmp_path):
        later = iter([Reply({}, 429, {"Retry-After": "1"}), {"items": []}, Reply({}, 429, {"Retry-After": "1"})])
        client = client_of(serve(lambda asked: next(later)), tmp_path, push_retry_seconds=0.5)
        assert await pull(client) == []
        (result,) = await push(client, outgoing(1))
        assert "wants to be left alone for 1 s" in str(result)

    @pytest.mark.parametrize("status", [408, 421, 425, 500, 502, 504, 520, 522, 530])
    async def test_what_may_pass_is_tried_again(self, serve, tmp_path, status):
        later = iter([Reply({}, status), {"items": []}])
        assert await pull(client_of(serve(lambda asked: next(later)), tmp_path)) == []

    @pytest.mark.parametrize("status", [400, 404, 501, 505])
    async def test_what_may_not_is_not(self, serve, tmp_path, status):
        server = serve(lambda asked: Reply({}, status))
        with pytest.raises(Fatal, match=f"answers {status}"):
            await pull(client_of(server, tmp_path))
        assert len(server.asked) == 1
