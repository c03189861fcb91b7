"""What operations see of runs: metrics for node exporter, alerts that are told once, logs that say whose they are."""

import json
import re
import subprocess
import sys

import pytest

from tests.hooks import Hooks
from tests.service.test_metrics import read

ORDER = {"id": 1, "status": "NEW", "title": "Pump", "createdAt": "2026-10-01"}
AWAY = {"MONGO_URI": "mongodb://127.0.0.1:1", "MONGO_RETRY_SECONDS": "0"}
SECRET = "T0K3N-0F-TH3-H00K"
CLIENTS = """\
[clients.acme]
kind = "erp_json"
collection = "acme"
inbound_dir = "data/inbound"
outbound_dir = "data/outbound"
[clients.north]
kind = "rest_json"
collection = "north"
url = "http://127.0.0.1:1/orders"
attempts = 1
[clients.south]
kind = "nonsense"
collection = "south"
"""


@pytest.fixture
def hooks():
    with Hooks() as hooks:
        yield hooks


@pytest.fixture
def watched(plant, hooks):
    """The plant, whose runs are told to ``hooks``."""
    plant.environ |= {"ALERT_URL": f"{hooks.url}/{SECRET}", "PING_URL": f"{hooks.url}/ping/{{client}}"}
    return plant


def metrics_of(plant, path="data/sync.prom"):
    return read((plant.home / path).read_bytes())


class TestMetrics:
    def test_a_run_writes_what_it_did_and_what_it_sees(self, plant):
        plant.put("1.json", ORDER)
        plant.put("2.json", b"{")
        plant.orders.insert_one({"number": 2, "status": "odd", "updatedAt": "2020-01-01T00:00:00Z"})
        plant.command("run", "--metrics-file", "data/sync.prom")
        values = metrics_of(plant)
        assert values["items_total", "erp_json", "inbound", "created"] == 1
        assert values["items_total", "erp_json", "inbound", "dead"] == 1
        assert values["items_total", "erp_json", "outbound", "dead"] == 1
        assert values["dead_letters", "erp_json", "inbound"] == values["dead_letters", "erp_json", "outbound"] == 1
        assert values["unsynced", "erp_json"] == 1
        assert values["oldest_unsynced_seconds", "erp_json"] > 86400
        assert values["lease_held", "erp_json"] == 1
        plant.command("run", METRICS_FILE="data/sync.prom")
        assert metrics_of(plant)["items_total", "erp_json", "inbound", "created"] == 0, "a process begins at 0"
        assert metrics_of(plant)["items_total", "erp_json", "inbound", "held"] == 1

    @pytest.mark.slow
    def test_a_run_that_fails_writes_them_too_and_keeps_when_it_went_well(self, plant):
        plant.command("run", METRICS_FILE="data/sync.prom")
        succeeded = metrics_of(plant)["last_success_timestamp_seconds", "erp_json"]
        assert succeeded > 0
        plant.command("run", exits=1, METRICS_FILE="data/sync.prom", **AWAY)
        values = metrics_of(plant)
        assert values["last_success_timestamp_seconds", "erp_json"] == succeeded
        assert values["lease_held", "erp_json"] == 0
        assert ("unsynced", "erp_json") not in values

    def test_several_clients_each_for_itself(self, plant):
        (plant.home / "clients.toml").write_text(CLIENTS)
        for title, name in (("theirs", "1.json"), ("ours", "2.json")):
            plant.put(name, ORDER | {"title": title, "updatedAt": "2026-10-02"})
            plant.orders.database["acme"].update_one({}, {"$set": {"title": "edited", "isSynced": False}})
        code, _, err = plant.ask("run", CLIENTS_FILE="clients.toml", METRICS_FILE="data/sync.prom", LOG_FORMAT="json")
        assert code == 1
        values = metrics_of(plant)
        succeeded = {name: values["last_success_timestamp_seconds", name] > 0 for name in ("acme", "north", "south")}
        assert succeeded == {"acme": True, "north": False, "south": False}
        assert values["breaker_open", "north"] == 0
        assert ("breaker_open", "acme") not in values
        told = [json.loads(line) for line in err.splitlines()]
        assert {(one["event"], one.get("client")) for one in told} >= {("left_out", None), ("stopped", "north")}

    @pytest.mark.slow
    def test_a_file_among_orders_is_refused(self, plant):
        code, _, err = plant.ask("run", METRICS_FILE="data/inbound/sync.prom")
        assert (code, "METRICS_FILE: lies in DATA_INBOUND_DIR" in err) == (2, True)

    @pytest.mark.slow
    def test_where_it_cannot_be_written_the_run_is_what_it_was(self, plant):
        (plant.home / "file").write_text("")
        code, _, err = plant.ask("run", METRICS_FILE="file/sync.prom")
        assert code == 0
        assert "file/sync.prom (METRICS_FILE) cannot be written" in err


class TestAlerts:
    @pytest.mark.slow
    def test_runs_of_cron_tell_each_trouble_once(self, watched, hooks):
        watched.put("1.json", b"{")
        watched.command("run")
        watched.command("run")
        assert hooks.events == ["dead_letters"]
        assert hooks.asked == ["/ping/erp_json"] * 2
        for _ in range(2):
            watched.command("run", exits=1, **AWAY)
        watched.put("2.json", b"{")
        for _ in range(2):
            watched.command("run", exits=5, MAX_DEAD_LETTERS="0")
        assert hooks.asked == ["/ping/erp_json"] * 2, "only a good pass is a sign of life"
        watched.command("run")
        assert hooks.events == ["dead_letters", "failed", "budget_exceeded", "recovered", "dead_letters"]
        failed = hooks.posted[1]
        assert failed["client"] == "erp_json"
        assert "MongoDB did not answer" in failed["reason"]
        assert failed["run"]
        assert [one["count"] for one in hooks.posted if one["count"]] == [1, 1]
        assert "told up to" in watched.command("state", "show")

    def test_one_of_several_that_fails_is_told_and_one_that_is_left_out(self, watched, hooks):
        (watched.home / "clients.toml").write_text(CLIENTS)
        for _ in range(2):
            watched.command("run", exits=1, CLIENTS_FILE="clients.toml")
        assert sorted((one["event"], one["client"]) for one in hooks.posted) == [
            ("failed", "north"),
            ("failed", "south"),
        ]
        assert hooks.asked == ["/ping/acme"] * 2

    @pytest.mark.slow
    def test_a_server_that_does_not_start_is_told(self, watched, hooks):
        watched.command("run", exits=1, MONGO_URI="", MONGOD_BIN="/bin/false")
        assert hooks.events == ["failed"]

    @pytest.mark.slow
    def test_who_cannot_be_told_changes_nothing(self, watched, hooks):
        hooks.status = 404
        watched.put("1.json", b"{")
        code, out, err = watched.ask("run")
        assert code == 0
        assert err.count("it answers 404") == 2
        assert SECRET not in out + err
        hooks.status = 200
        watched.command("run")
        assert hooks.events == ["dead_letters"]

    @pytest.mark.slow
    def test_what_changes_nothing_tells_nothing(self, watched, hooks):
        watched.put("1.json", ORDER)
        watched.command("plan", exits=4)
        watched.command("reconcile", exits=4)
        assert (hooks.posted, hooks.asked) == ([], [])

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("package", "setting", "extra"),
        [("prometheus_client", "METRICS_FILE", "web"), ("httpx", "ALERT_URL", "http")],
    )
    def test_what_is_not_installed_is_named_with_its_extra(self, plant, package, setting, extra):
        code = f"import sys; sys.modules[{package!r}] = None\nfrom pipeline.cli import main; sys.exit(main(['run']))"
        environ = plant.environ | {setting: "http://x.invalid/"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=plant.home, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert setting in done.stderr
        assert re.search(rf"pip install .*\[{extra}\]'", done.stderr)


class TestLogs:
    @pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
    def test_lines_of_json_say_whose_they_are(self, plant, workers):
        plant.put("1.json", ORDER | {"updatedAt": "2026-10-09"})
        plant.put("2.json", b"{")
        plant.orders.insert_many(
            [
                {"number": 1, "title": "TracOS", "createdAt": "2026-10-01", "updatedAt": "2026-10-08"},
                {"number": 2, "status": "odd"},
            ]
        )
        _, _, err = plant.ask("run", "--workers", workers, LOG_FORMAT="json")
        (run,) = json.loads(plant.command("history", "--json"))
        told = [json.loads(line) for line in err.splitlines()]
        assert {(one["client"], one["run"]) for one in told} == {("erp_json", run["run"])}
        assert {(one["event"], one["flow"]) for one in told} == {
            ("gave_way", "inbound"),
            ("dead_letter", "inbound"),
            ("dead_letter", "outbound"),
        }

    def test_a_line_that_is_nobodys_has_its_event_alone(self, plant):
        _, _, err = plant.ask("run", "--client", "nobody", LOG_FORMAT="json")
        (line,) = [json.loads(line) for line in err.splitlines()]
        assert line.keys() == {"time", "level", "message", "event"}
        assert line["event"] == "stopped"
