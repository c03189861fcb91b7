"""An API that fails is asked again, at its pace, and left alone when it stays away."""

import asyncio

import pytest

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Deferred, Outage
from pipeline.testing import Faults
from pipeline.transports.http.limits import Breaker, Pace
from tests.asking import client_of, ids, order, outgoing, pull, push


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
