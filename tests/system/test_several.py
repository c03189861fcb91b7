"""A run of several clients: side by side, none waits for another, and what is told of them is in one order."""

import io
import json
import signal
import sys
import threading
from types import SimpleNamespace

import msgspec

from pipeline.cli.progress import watched
from pipeline.dataflow.run import Report
from pipeline.history.journal import last_runs
from pipeline.testing import FakeErp
from tests.mongo import until
from tests.plant import Plant

API = '[clients.{name}]\nkind = "rest_json"\nurl = "{url}"\nitems = "items"\ncollection = "{name}"\n'
FOLDER = """\
[clients.{name}]
kind = "erp_json"
inbound_dir = "{name}/in"
outbound_dir = "{name}/out"
collection = "{name}"
quiet_seconds = 0
"""
SEVERAL = {"CLIENTS_FILE": "clients.toml"}


class Gate(FakeErp):
    """Shows its list once it may; knows how many ask at the same time."""

    def __init__(self):
        super().__init__()
        self.go, self.inside, self.most = threading.Event(), 0, 0
        self._counting = threading.Lock()

    def page(self, query, fault=None):
        with self._counting:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.go.wait(60)
        with self._counting:
            self.inside -= 1
        return super().page(query, fault)


def order(number, **more):
    return {"id": number, "status": "NEW", "createdAt": "2026-10-01", "updatedAt": "2026-10-02T00:00:00Z"} | more


def described(plant, *tables):
    (plant.home / "clients.toml").write_text("".join(tables))


def put(plant, client, name, body):
    folder = plant.home / client / "in"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(body if isinstance(body, bytes) else msgspec.json.encode(body))


def orders(plant, client):
    return plant.client[plant.orders.database.name][client]


def test_who_is_slow_or_fails_delays_nobody_and_all_are_told_in_the_order_of_the_settings(plant):
    with Gate() as erp:
        erp.put(order(1))
        described(
            plant, API.format(name="slow", url=erp.url), FOLDER.format(name="broken"), FOLDER.format(name="quick")
        )
        (plant.home / "broken").mkdir()
        (plant.home / "broken/in").write_text("a file in its place")
        put(plant, "quick", "1.json", order(1))
        put(plant, "quick", "bad.json", b"{")
        threading.Thread(
            target=lambda: (until(lambda: orders(plant, "quick").count_documents({})), erp.go.set())
        ).start()
        code, out, err = plant.ask("run", "--json", **SEVERAL)
    told = json.loads(out)
    assert (code, told["ending"], told["exit"]) == (1, "incomplete", 1)
    assert [one["client"] for one in told["flows"]] == ["slow", "slow", "broken", "quick", "quick"]
    assert orders(plant, "slow").count_documents({}) == 1
    (run,) = last_runs(plant.home / "data/runs.jsonl", 1)
    assert [flow.flow for flow in run.flows] == [one["flow"] for one in told["flows"]]
    assert run.error.startswith("broken: ")
    assert run.error.count("; broken: ") == 0
    lines = err.splitlines()
    assert sum("ERROR" in line and "broken: " in line for line in lines) == 1
    assert any("quick: dead letter: bad.json" in line for line in lines), "whose line it is"


def test_no_more_are_side_by_side_than_may_be(plant):
    with Gate() as erp:
        described(plant, *(API.format(name=f"c{number}", url=erp.url) for number in range(5)))
        threading.Thread(target=lambda: (until(lambda: erp.inside == 2), erp.go.set())).start()
        assert plant.ask("run", "--only", "inbound", SERVE_PARALLEL=2, **SEVERAL)[0] == 0
        assert erp.most == 2


def test_a_ctrl_c_settles_what_each_has_in_hand_and_begins_no_more(plant):
    with Gate() as erp:
        erp.put(order(1))
        described(plant, *(API.format(name=name, url=erp.url) for name in ("a", "b", "c")))
        process = plant.start("src/main.py", SERVE_PARALLEL=2, **SEVERAL)
        until(lambda: erp.inside == 2)
        process.send_signal(signal.SIGINT)
        until(lambda: "stopping when" in process.stderr.readline())
        erp.go.set()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False)
    assert "interrupted" in out.splitlines()[0]
    assert "c" not in {flow.client for flow in last_runs(plant.home / "data/runs.jsonl", 1)[0].flows}


def test_with_mongodb_away_it_is_said_once_and_ends(tmp_path):
    plant = Plant(tmp_path, "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", "nobody")
    described(plant, *(FOLDER.format(name=name) for name in ("a", "b")))
    for name in ("a", "b"):
        put(plant, name, "1.json", order(1))
    code, _, err = plant.ask("run", MONGO_RETRY_SECONDS=0, **SEVERAL)
    assert (code, err.count("ERROR")) == (1, 1)
    assert "MongoDB did not answer" in err
    plant.client.close()


async def test_several_displays_share_the_terminal(monkeypatch):
    drawn = io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setattr(drawn, "isatty", lambda: True, raising=False)
    watch, chain = watched("text"), SimpleNamespace()
    with watch(chain, Report(flow="a.inbound")):
        with watch(chain, Report(flow="b.inbound")):
            sys.stderr.write("a line of the log\n")
        sys.stderr.write("another\n")
    assert sys.stderr is drawn, "what it had taken is given back"
    assert "a.inbound" in drawn.getvalue()
    assert "b.inbound" in drawn.getvalue()
