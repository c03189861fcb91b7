"""The service: files and edits go over by themselves, signals are heard, one client's trouble is no other's."""

import json
import os
import signal
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from pipeline.history.journal import read_runs
from pipeline.testing import FakeErp
from tests.hooks import Hooks
from tests.mongo import until
from tests.plant import Plant
from tests.service.test_metrics import read

TWO = """\
[clients.north]
kind = "erp_json"
inbound_dir = "north/in"
outbound_dir = "north/out"
collection = "north"
quiet_seconds = 0

[clients.south]
kind = "erp_json"
inbound_dir = "south/in"
outbound_dir = "south/out"
collection = "south"
quiet_seconds = 0
"""
BROKEN = """
[clients.broken]
kind = "erp_json"
inbound_dir = "no-folder"
outbound_dir = "broken/out"
collection = "broken"
"""


def order(number, **more):
    return {"id": number, "status": "NEW", "createdAt": "2026-10-01", "title": "Pump", **more}


def put(plant, client, number, **more):
    folder = plant.home / client / "in"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number}.json").write_text(json.dumps(order(number, **more)))


class Served:
    """A service that runs."""

    def __init__(self, plant, **environ):
        self.plant = plant
        defaults = {"SERVE_EVERY": "1s", "SERVE_PORT": 0, "CLIENTS_FILE": "clients.toml"}
        self.process = plant.start("src/main.py", "serve", **{**defaults, **environ})
        self.address = self.process.stdout.readline().removeprefix("the page is at ").strip()
        if not self.address:
            pytest.fail(self.process.communicate()[1])

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        """End it as an operator does; its log."""
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
        _, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, err
        assert "Traceback" not in err
        return err

    def get(self, path):
        base = "/".join(self.address.split("/")[:3])
        try:
            with urllib.request.urlopen(base + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@contextmanager
def serving(plant, clients=TWO, **environ):
    (plant.home / "clients.toml").write_text(clients)
    served = Served(plant, **environ)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.process.kill()
            served.process.communicate()


def orders(plant, client):
    return plant.client[plant.orders.database.name][client]


def test_files_and_edits_go_over_by_themselves_and_a_term_ends_it_in_peace(plant):
    for client in ("north", "south"):
        put(plant, client, 0)
    with serving(plant) as served:
        until(lambda: all(orders(plant, client).count_documents({}) for client in ("north", "south")))
        put(plant, "north", 1)
        until(lambda: orders(plant, "north").count_documents({"number": 1}))
        orders(plant, "south").update_one({}, {"$set": {"title": "edited", "isSynced": False}})
        until((plant.home / "south/out/0.json").exists)
        assert served.get("/livez") == (200, "ok")
        assert json.loads(served.get("/readyz")[1]) == {"ready": True, "reasons": []}
        err = served.end()
    assert "north.inbound: 1 read: 1 created" in err
    runs = list(read_runs(plant.home / "data/runs.jsonl"))
    assert {(run.command, run.exit) for run in runs} <= {("serve", 0), ("serve", 130)}
    assert 4 <= len(runs) <= 8, "passes that found nothing to do are not written down"


@pytest.mark.slow
def test_an_idle_service_writes_nothing(plant):
    put(plant, "north", 0)
    with serving(plant) as served:
        until(lambda: orders(plant, "north").count_documents({"isSynced": True}))
        leases = orders(plant, "north.sync")
        until(lambda: leases.find_one()["fence"] > 3)
        before = list(orders(plant, "north").find()), plant.state()[0]
        fence = leases.find_one()["fence"]
        until(lambda: leases.find_one()["fence"] > fence + 2)
        assert (list(orders(plant, "north").find()), plant.state()[0]) == before
        served.end()


@pytest.mark.slow
def test_a_client_in_trouble_delays_nobody_and_is_told(plant):
    put(plant, "north", 0)
    (plant.home / "no-folder").write_text("a file in its place")
    with (
        Hooks() as hooks,
        serving(plant, TWO + BROKEN, ALERT_URL=hooks.url, PING_URL=hooks.url + "/{client}") as served,
    ):
        until(lambda: served.get("/readyz")[0] == 503)
        put(plant, "north", 1)
        until(lambda: orders(plant, "north").count_documents({"number": 1}))
        until(lambda: read(served.get("/metrics")[1].encode())["items_total", "north", "inbound", "created"] == 2)
        values = read(served.get("/metrics")[1].encode())
        assert (
            values["last_success_timestamp_seconds", "north"] > values["last_success_timestamp_seconds", "broken"] == 0
        )
        until(lambda: {"/north", "/south"} <= set(hooks.asked))
        assert "/broken" not in hooks.asked
        assert [(one["event"], one["client"]) for one in hooks.posted] == [("failed", "broken")]
        reasons = json.loads(served.get("/readyz")[1])["reasons"]
        assert [reason.partition(":")[0] for reason in reasons] == ["broken"]
        err = served.end()
    assert "broken: tried again in" in err


def test_a_hang_up_has_it_read_the_settings_again_and_wrong_ones_change_nothing(plant):
    put(plant, "north", 0)
    put(plant, "south", 0)
    only_north = TWO.partition("\n[clients.south]")[0]
    with serving(plant, only_north) as served:
        until(lambda: orders(plant, "north").count_documents({}))
        (plant.home / "clients.toml").write_text("[clients")
        served.send(signal.SIGHUP)
        put(plant, "north", 1)
        until(lambda: orders(plant, "north").count_documents({"number": 1}))
        (plant.home / "clients.toml").write_text(TWO)
        served.send(signal.SIGHUP)
        until(lambda: orders(plant, "south").count_documents({}))
        err = served.end()
    assert "the settings are kept as they were" in err
    assert "the settings were read again: north, south" in err


@pytest.mark.slow
def test_a_client_whose_settings_are_wrong_is_left_out_and_told(plant):
    put(plant, "north", 0)
    with serving(plant, TWO + '\n[clients.odd]\nkind = "no such kind"\n') as served:
        until(lambda: orders(plant, "north").count_documents({}))
        until(lambda: served.get("/readyz")[0] == 503)
        served.end()


@pytest.mark.slow
def test_two_services_share_the_clients_and_one_goes_on_alone(plant, tmp_path, mongo_uri):
    home = tmp_path / "other"
    home.mkdir()
    other = Plant(home, mongo_uri, plant.orders.database.name)
    with FakeErp() as erp:
        table = f'[clients.north]\nkind = "rest_json"\nurl = "{erp.url}"\nitems = "items"\ncollection = "north"\n'
        erp.put(order(0, updatedAt="2026-10-02T00:00:00Z"))
        with serving(plant, table, LEASE_SECONDS=2) as one, serving(other, table, LEASE_SECONDS=2) as two:
            until(lambda: orders(plant, "north").count_documents({}))
            for number in range(1, 6):
                erp.put(order(number, updatedAt=f"2026-10-0{number + 2}T00:00:00Z"))
                until(lambda number=number: orders(plant, "north").count_documents({"number": number}))
            os.kill(one.process.pid, signal.SIGKILL)
            one.process.communicate()
            erp.put(order(9, updatedAt="2026-10-20T00:00:00Z"))
            until(lambda: orders(plant, "north").count_documents({"number": 9}))
            orders(plant, "north").update_one({"number": 9}, {"$set": {"title": "edited", "isSynced": False}})
            until(lambda: erp.orders["9"]["title"] == "edited")
            two.end()
    passes = sorted(
        (run.began, run.ended)
        for one in (plant, other)
        for run in read_runs(one.home / "data/runs.jsonl")
        if run.ended is not None
    )
    assert passes
    other.client.close()


@pytest.mark.slow
def test_other_commands_use_the_embedded_mongodb_of_a_service(tmp_path):
    plant = Plant(tmp_path)
    put(plant, "north", 0)
    put(plant, "north", 1, status="LOST")
    with serving(plant, TWO) as served:
        until(lambda: read(served.get("/metrics")[1].encode())["items_total", "north", "inbound", "created"] == 1)
        files = {"CLIENTS_FILE": "clients.toml"}
        for code, *arguments in (
            (0, "plan"),
            (0, "doctor"),
            (0, "reconcile"),
            (0, "explain", "0"),
            (0, "dead-letters", "stats"),
            (3, "dead-letters", "retry", "--all", "--wait", "10"),
            (0, "state", "reset", "north", "--wait", "10"),
            (0, "run", "--wait", "10"),
        ):
            told = plant.ask(*arguments, **files)
            assert told[0] == code, (arguments, told)
        put(plant, "north", 2)
        until(lambda: read(served.get("/metrics")[1].encode())["items_total", "north", "inbound", "created"] == 2)
        served.end()
