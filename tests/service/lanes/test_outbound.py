"""What a lane hands to a client is what the run would have: the same files, marks and letters, whoever is killed."""

import fcntl
import json
import os
import random
import signal
from pathlib import Path

import pytest
from bson import ObjectId

from pipeline.errors import Held
from pipeline.service.session import Session
from pipeline.testing.fake_erp import FakeErp
from pipeline.tracos import source
from pipeline.transports.folder.sink import FolderSink
from tests.mongo import until
from tests.service.lanes.compared import clear, decisions, everything, lanes_of
from tests.service.lanes.test_lanes import RECORDS
from tests.system.test_links import FOLDERS

ORDER = {"status": "created", "createdAt": "2026-10-01T00:00:00Z"}


def wait(plant, seed, count):
    """Orders that wait to be told, some of which cannot be, or not to everybody."""
    chance = random.Random(seed)
    statuses = ["created"] * 5 + ["in_progress"] * 5 + ["completed", "unheard of"]
    plant.orders.insert_many(
        {
            **ORDER,
            "_id": ObjectId(f"{number:024}"),
            "number": number,
            "status": chance.choice(statuses),
            "title": chance.choice(["Pump", "Pümpe, 2\n"]),
        }
        for number in range(count)
    )
    for number in chance.sample(range(count), 3):
        (plant.outbound / f"{number}.json").mkdir(parents=True)


def files(plant):
    return {path.name: path.read_bytes() for path in plant.outbound.iterdir() if path.is_file()}


def told(plant, *options):
    out = plant.command("run", "--only", "outbound", "--json", *options)
    return files(plant), *everything(plant, out)


def told_twice(plant, *options):
    """The second time of what was edited since: a new order that the client has not named yet has to wait."""
    first = told(plant, *options)
    plant.orders.update_many({"number": {"$mod": [3, 0]}}, {"$set": {"title": "Edited", "isSynced": False}})
    return first, told(plant, *options)


@pytest.mark.parametrize(
    "kind", ["erp_json", *(pytest.param(one, marks=pytest.mark.slow) for one in ("ready", "csv_folder"))]
)
def test_a_run_with_lanes_tells_what_a_run_without_does(plant, monkeypatch, kind):
    monkeypatch.setattr(source, "GROUP", 7)
    if kind != "ready":
        (plant.home / "clients.toml").write_text(FOLDERS.format(kind=kind))
        plant.environ["CLIENTS_FILE"] = "clients.toml"
    wait(plant, kind, 60)
    alone = told_twice(plant)
    assert len(alone[0][0]) > 20, "there is something to compare"
    clear(plant)
    wait(plant, kind, 60)
    assert told_twice(plant, "--workers", "2") == alone
    before = plant.state()
    plant.command("run", "--only", "outbound", "--workers", "2")
    assert plant.state() == before, "an idle run writes nothing"


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["the lane", "the run"])
def test_who_is_killed_loses_nothing_that_waits(plant, whom):
    plant.orders.insert_many({**ORDER, "number": number} for number in range(RECORDS))
    run = plant.start("src/main.py", "--only", "outbound", "--json", WORKERS=2)
    until(lambda: len(list(os.scandir(plant.outbound))) > RECORDS // 3 if plant.outbound.is_dir() else False)
    [lane] = lanes_of(run.pid)
    os.kill(lane if whom == "the lane" else run.pid, signal.SIGKILL)
    _, err = run.communicate(timeout=120)
    if whom == "the lane":
        assert run.returncode == 0, err
        assert "a lane ended by itself (signal 9)" in err
    else:
        until(lambda: not Path(f"/proc/{lane}").exists())
        plant.run("src/main.py", "--only", "outbound")
    assert files(plant).keys() == {f"{number}.json" for number in range(RECORDS)}
    assert plant.orders.count_documents({"isSynced": True}) == RECORDS
    assert len(decisions(plant)) == RECORDS


@pytest.mark.slow
def test_an_edit_while_a_lane_has_its_order_is_told_last(plant):
    plant.orders.insert_many({**ORDER, "number": number, "title": "old"} for number in range(6000))
    run = plant.start("src/main.py", "--only", "outbound", WORKERS=2)
    until(lambda: lanes_of(run.pid))
    [lane] = lanes_of(run.pid)
    os.kill(lane, signal.SIGSTOP)
    plant.orders.update_many({"number": {"$in": [0, 5999]}}, {"$set": {"title": "new", "isSynced": False}})
    os.kill(lane, signal.SIGCONT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    plant.run("src/main.py", "--only", "outbound")
    assert {plant.sent()[f"{number}.json"]["title"] for number in (0, 5999)} == {"new"}
    assert plant.orders.count_documents({"isSynced": True}) == 6000


def test_a_folder_that_somebody_else_has_taken_stops_the_run_with_a_line(plant, monkeypatch):
    close, taken = FolderSink.close, []

    async def closed(self):
        await close(self)
        taken.append(os.open(plant.outbound, os.O_RDONLY))
        fcntl.flock(taken[0], fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(FolderSink, "close", closed)
    plant.orders.insert_one({**ORDER, "number": 1})
    try:
        code, _, err = plant.ask("run", "--only", "outbound", "--workers", "2")
    finally:
        os.close(taken[0])
    assert (code, "another run is writing into" in err) == (1, True), err
    assert files(plant) == {}
    assert plant.documents()[1].get("isSynced") is None


def test_nothing_leaves_once_the_lease_is_somebody_elses(plant, monkeypatch):
    monkeypatch.setattr(source, "GROUP", 5)
    confirmed = []

    async def confirm(self):
        confirmed.append(self)
        if len(confirmed) > 2:
            raise Held("somebody else has them")

    monkeypatch.setattr(Session, "confirm", confirm)
    plant.orders.insert_many({**ORDER, "number": number} for number in range(40))
    code, _, err = plant.ask("run", "--only", "outbound", "--workers", "2")
    assert (code, "somebody else has them" in err) == (6, True), err
    assert len(files(plant)) == 10
    assert plant.command("run", "--only", "outbound", exits=6) is not None
    monkeypatch.undo()
    plant.command("run", "--only", "outbound")
    assert len(files(plant)) == 40


def test_an_api_is_told_by_the_run_itself(plant, monkeypatch):
    with FakeErp() as erp:
        (plant.home / "clients.toml").write_text(
            f'[clients.erp]\nkind = "rest_json"\nurl = "{erp.url}"\ndirection = "outbound"\n'
        )
        plant.environ["CLIENTS_FILE"] = "clients.toml"
        plant.orders.insert_one({**ORDER, "number": 1})
        monkeypatch.setattr("pipeline.service.lanes.dealer.Dealer.open", None)
        out = json.loads(plant.command("run", "--json", "--workers", "2"))
    assert [flow["outcomes"] for flow in out["flows"]][-1] == {"sent": 1}


def test_few_orders_are_told_without_a_lane(plant, monkeypatch):
    monkeypatch.setattr("pipeline.service.lanes.dealer.Dealer.open", None)
    plant.orders.insert_one({**ORDER, "number": 1})
    plant.command("run", "--workers", "auto")
    assert set(files(plant)) == {"1.json"}
    assert plant.documents()[1]["isSynced"] is True
