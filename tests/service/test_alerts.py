"""Who is told of a client's troubles: each once, however often it is met, and nobody's sync waits for it."""

import asyncio
import json
import re
import socket
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.deadletters import Standing
from pipeline.errors import BudgetExceeded, Fatal, Held, Outage, WrongSettings
from pipeline.service.alerts import Alert, Alerts, Event, due
from pipeline.service.passes import Pass
from pipeline.service.settings import Settings, load
from pipeline.service.told import Told, described, load_told
from tests.hooks import Hooks

ROOT = Path(__file__).resolve().parents[2]
SECRET = "T0K3N-0F-TH3-H00K"
NOON = datetime(2026, 10, 31, 12, tzinfo=UTC)
AWAY = Outage("erp.example did not answer")
BUDGET = BudgetExceeded("more than 5% failed")


def passed(minute=0, *, error=None, letters=(), **more):
    """A pass of acme that began so many minutes after noon; ``letters``: at which minutes each was first seen."""
    standing = {"inbound": Standing([at(one) for one in sorted(letters)]), "outbound": Standing()}
    return Pass(client="acme", run="r1", began=at(minute), seconds=1, error=error, letters=standing, **more)


def at(minute):
    return NOON + timedelta(minutes=minute)


def told_of(*passes, told=None, late=0.5):
    """The events that are told of passes, one after the other, each looked at half a minute after it began."""
    told, events = told or Told(), []
    for one in passes:
        for alert, after in due(told, one, one.began + timedelta(minutes=late)):
            events.append(alert.event if alert.count is None else f"{alert.count} in {alert.flow}")
            told = after
    return events


class TestWhatIsTold:
    @pytest.mark.parametrize(
        ("errors", "events"),
        [
            ([None, None], []),
            ([AWAY, AWAY, AWAY], ["failed"]),
            ([AWAY, None, None, AWAY], ["failed", "recovered", "failed"]),
            ([BUDGET, BUDGET, None], ["budget_exceeded", "recovered"]),
            ([AWAY, BUDGET, AWAY], ["failed", "budget_exceeded", "failed"]),
            ([AWAY, Held("run x is working on these orders"), AWAY, None], ["failed", "recovered"]),
            ([Held("run x is working on these orders"), None], []),
        ],
    )
    def test_a_trouble_is_told_once_and_its_end_too(self, errors, events):
        assert told_of(*(passed(minute, error=error) for minute, error in enumerate(errors))) == events

    def test_what_somebody_interrupts_says_nothing_of_troubles(self):
        assert told_of(passed(error=AWAY), passed(1, is_whole=False), passed(2, error=AWAY)) == ["failed"]

    def test_new_letters_are_counted_and_told_once(self):
        letters = [passed(0, letters=[0.1, 0.1]), passed(1, letters=[0.1, 0.1]), passed(2, letters=[0.1, 0.1, 2.2])]
        assert told_of(*letters, passed(3), passed(4, letters=[4.1])) == [
            "2 in inbound",
            "1 in inbound",
            "1 in inbound",
        ]

    def test_those_that_were_there_before_anybody_was_told_are_new(self):
        assert told_of(passed(0, letters=[-9999, -1])) == ["2 in inbound"]

    def test_a_clock_that_goes_back_hides_no_letter_and_repeats_none(self):
        before = passed(600, letters=[600.1])
        assert told_of(before, passed(0, letters=[0.2, 600.1]), passed(1, letters=[0.2, 600.1])) == ["1 in inbound"] * 2

    @given(st.lists(st.tuples(st.sampled_from([None, AWAY, BUDGET]), st.integers(0, 3)), max_size=12))
    def test_as_many_letters_are_told_as_there_were_and_no_trouble_twice_in_a_row(self, played):
        letters, told, count, troubles = [], Told(), 0, []
        for minute, (error, more) in enumerate(played):
            letters += [minute + 0.1] * more
            for alert, after in due(told, passed(minute, error=error, letters=letters), at(minute + 0.5)):
                told = msgspec.json.decode(msgspec.json.encode(after), type=Told)
                count += alert.count or 0
                troubles += [] if alert.count else [alert.event]
        assert count == len(letters)
        assert all(one != other for one, other in pairwise(troubles))

    def test_an_alert_has_this_shape_and_no_more(self):
        failed, letters = (
            msgspec.to_builtins(alert)
            for alert, _ in due(Told(), passed(error=Fatal("the file caf\udce9 is\nodd"), letters=[0, 0.1]), at(1))
        )
        host = failed["host"]
        assert failed == {
            "text": f"workorder-sync on {host}: acme cannot be synced: the file caf\\udce9 is\\nodd",
            "event": "failed",
            "client": "acme",
            "flow": None,
            "count": None,
            "open": None,
            "reason": "the file caf\\udce9 is\\nodd",
            "run": "r1",
            "host": host,
            "at": "2026-10-31T12:01:00Z",
        }
        assert (letters["event"], letters["flow"], letters["count"], letters["open"]) == (
            "dead_letters",
            "inbound",
            2,
            2,
        )
        assert letters["text"].endswith("acme: 2 new dead letters in inbound, 2 open; `dead-letters list` shows them")

    def test_the_docs_have_its_shape_and_its_events(self):
        docs = (ROOT / "docs/monitoring.md").read_text()
        shape = re.search(r"(?s)```json\n(\{\n.*?)```", docs)[1]
        assert list(json.loads(shape)) == [field.name for field in msgspec.structs.fields(Alert)]
        assert msgspec.json.decode(shape, type=Alert)
        assert set(re.findall(r"(?m)^\| `(\w+)` \| ", docs.partition("## Alerts")[2].partition("\n## ")[0])) == set(
            get_args(Event)
        )


@pytest.fixture
def hooks():
    with Hooks() as hooks:
        yield hooks


def settings_in(tmp_path, hooks, **more):
    urls = {"alert_url": f"{hooks.url}/{SECRET}", "ping_url": f"{hooks.url}/{SECRET}/{{client}}"}
    return Settings(data_state_dir=tmp_path / "state", **{**urls, **more})


class TestDelivery:
    async def test_what_was_told_is_remembered_from_process_to_process(self, tmp_path, hooks):
        for error in (AWAY, AWAY, None):
            alerts = Alerts(settings_in(tmp_path, hooks))
            alerts.passed(passed(error=error))
            await alerts.settle(8)
        assert hooks.events == ["failed", "recovered"]
        assert hooks.asked == [f"/{SECRET}/acme"], "a ping for the good pass alone"
        assert described(tmp_path / "state/acme.alerts") == (1, ["no trouble was told"])

    async def test_what_cannot_be_delivered_is_one_line_without_the_secret_and_told_next_time(
        self, tmp_path, hooks, log
    ):
        alerts = Alerts(settings_in(tmp_path, hooks))
        hooks.status = 503
        alerts.passed(passed(error=AWAY, letters=[0]))
        await alerts.settle(8)
        (line,) = log
        assert line.startswith("WARNING the alert failed of acme cannot be delivered")
        assert line.endswith("it answers 503")
        hooks.status = 200
        alerts.passed(passed(1, error=AWAY, letters=[0]))
        await alerts.settle(8)
        assert hooks.events == ["failed", "dead_letters"]
        assert SECRET not in "".join(log)

    @pytest.mark.parametrize("address", ["http://127.0.0.1:1/", "http://no.such.host.invalid/", "http://[::1]:1/x"])
    async def test_whoever_is_away_stops_nothing(self, tmp_path, hooks, log, address):
        alerts = Alerts(settings_in(tmp_path, hooks, alert_url=address + SECRET, ping_url=address + SECRET))
        alerts.passed(passed(letters=[0]))
        await alerts.settle(8)
        assert [line.partition(":")[0] for line in log] == [
            "WARNING the alert dead_letters of acme cannot be delivered, and is tried after the next pass",
            "WARNING PING_URL cannot be asked",
        ]
        assert SECRET not in "".join(log)
        assert load_told(tmp_path / "state", "acme") == Told()

    async def test_who_never_answers_is_not_waited_for(self, tmp_path, hooks, log, monkeypatch):
        monkeypatch.setattr("pipeline.service.alerts.TIMEOUT_SECONDS", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            alerts = Alerts(settings_in(tmp_path, hooks, alert_url=url, ping_url=None))
            alerts.passed(passed(error=AWAY))
            await alerts.settle(8)
        assert "cannot be delivered" in log[0]

    @pytest.mark.parametrize("damage", [b"", b"\xff", b"[1]", b'{"version":9}', b'{"trouble":"odd"}'])
    async def test_a_damaged_memory_is_told_and_begun_anew(self, tmp_path, hooks, log, damage):
        (tmp_path / "state").mkdir()
        (tmp_path / "state/acme.alerts").write_bytes(damage)
        alerts = Alerts(settings_in(tmp_path, hooks))
        alerts.passed(passed(error=AWAY))
        await alerts.settle(8)
        assert hooks.events == ["failed"]
        assert "acme.alerts cannot be used: what was told of acme is told again" in log[0]
        assert load_told(tmp_path / "state", "acme").trouble == "failed"

    async def test_at_once_each_client_is_told_of_by_one_task_and_of_its_newest_pass(self, tmp_path, hooks):
        alerts = Alerts(settings_in(tmp_path, hooks), at_once=True)
        for minute in range(50):
            alerts.passed(passed(minute, error=AWAY, letters=[0] * (minute + 1)))
        await asyncio.sleep(0)
        alerts.passed(passed(60, letters=[0] * 50))
        await alerts.settle(8)
        assert hooks.events == ["failed", "dead_letters", "recovered"]
        assert hooks.posted[1]["count"] == 50
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


class TestSettings:
    def test_an_address_may_be_in_a_file(self, tmp_path):
        (tmp_path / "hook").write_text("https://hooks.example/x\n")
        assert (
            load({"ALERT_URL_FILE": str(tmp_path / "hook")}, tmp_path / ".env").alert_url == "https://hooks.example/x"
        )

    @pytest.mark.parametrize("address", ["hooks.example", "ftp://x/y", "https://", "http://a:99999/", "https://a/\x07"])
    def test_what_is_no_address_is_refused_without_being_repeated(self, tmp_path, address):
        with pytest.raises(WrongSettings) as caught:
            load({"ALERT_URL": address, "PING_URL": address}, tmp_path / ".env")
        assert list(caught.value.problems) == [
            f"{name}: expected an address that begins with https:// or http://" for name in ("ALERT_URL", "PING_URL")
        ]
