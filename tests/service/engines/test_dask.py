"""A run with the workers of a Dask cluster is a run, whatever ends, freezes or poisons whom meanwhile."""

import json
import shutil
import signal
import threading
import time

import pytest

from pipeline.service.engines import dask as engine
from pipeline.transports.folder import source as folder_source
from tests.plant import ROOT
from tests.service.lanes.compared import clear, documents, everything, fill, letters
from tests.service.lanes.test_lanes import RECORDS

LIVE = {"status": "NEW", "createdAt": "2026-10-01", "updatedAt": "2026-10-02T00:00:00Z"}
MANY = {"records": RECORDS, "orders": 1_000_000}
BEGUN = RECORDS // 8
"""Documents that are there when something ends."""


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.mark.slow
def test_a_run_with_an_engine_does_what_a_run_without_does(plant, cluster, monkeypatch):
    cluster.worker()
    monkeypatch.setattr(folder_source, "GROUP", 7)
    fill(plant, 0, records=100)
    alone = everything(plant, plant.command("run", "--json"))
    clear(plant)
    code, out, err = plant.ask("run", "--json", "--engine", cluster.url)
    assert code == 0, err + cluster.logs()
    assert everything(plant, out) == alone
    assert documents(plant), "there is something to compare"


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(plant, cluster):
    workers = [cluster.worker() for _ in range(2)]
    fill(plant, 1, **MANY)
    alone = json.loads(plant.command("run", "--only", "inbound", "--json"))
    expected = documents(plant), letters(plant)
    clear(plant)
    run = plant.start("src/main.py", "--only", "inbound", "--json", ENGINE=cluster.url)
    until(lambda: plant.orders.estimated_document_count() > BEGUN)
    workers[0].kill()
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err + cluster.logs()
    assert "was lost with the group that begins with" in err
    assert "Traceback" not in err
    assert documents(plant) == expected[0]
    # A letter that a later record was about to close, when its worker was killed, stays for a person.
    assert letters(plant).items() >= expected[1].items()
    [now], [before] = json.loads(out)["flows"], alone["flows"]
    assert (now["read"], now["dead"]) == (before["read"], before["dead"])


@pytest.mark.slow
@pytest.mark.parametrize("who", ["scheduler", "driver"])
def test_what_is_left_when_all_is_killed_the_next_run_does(plant, cluster, who):
    for _ in range(2):
        cluster.worker()
    fill(plant, 1, **MANY)
    plant.command("run", "--only", "inbound")
    expected = documents(plant), letters(plant)
    clear(plant)
    run = plant.start("src/main.py", "--only", "inbound", ENGINE=cluster.url)
    until(lambda: plant.orders.estimated_document_count() > BEGUN)
    (run if who == "driver" else cluster.scheduler).kill()
    _, err = run.communicate(timeout=60)
    if who == "scheduler":
        assert run.returncode == 1, err
        assert f"the Dask scheduler at {cluster.address} is gone: nothing is lost, run again when it is back" in err
        assert err.count("\n") < 100, "no stack, nothing that Dask says"
    plant.command("run", "--only", "inbound")
    assert documents(plant) == expected[0]
    now, before = letters(plant), expected[1]
    assert all(now[place] == before[place] for place in before.keys() & now.keys())
    # One that a newer record of its order has overtaken is closed by that record, where it is taken in the next run.
    taken = {str(one["number"]) for one in expected[0]}
    assert all(str(json.loads(before[place][2])["id"]) in taken for place in before.keys() - now.keys())
    assert not list((plant.home / "data").rglob("*.~tmp"))


@pytest.mark.slow
def test_a_worker_that_is_frozen_and_wakes_later_does_no_harm(plant, cluster, monkeypatch):
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 3)
    workers = [cluster.worker() for _ in range(2)]
    fill(plant, 1, **MANY)
    plant.command("run", "--only", "inbound")
    expected = documents(plant), letters(plant)
    clear(plant)

    def freeze():
        until(lambda: plant.orders.estimated_document_count() > BEGUN)
        workers[0].send_signal(signal.SIGSTOP)

    freezer = threading.Thread(target=freeze)
    freezer.start()
    code, _, err = plant.ask("run", "--only", "inbound", "--engine", cluster.url)
    freezer.join()
    assert code == 0, err
    assert "was lost with the group that begins with" in err
    before = documents(plant)
    workers[0].send_signal(signal.SIGCONT)
    workers[0].terminate()
    workers[0].wait(30)
    assert documents(plant) == before == expected[0]
    assert letters(plant).items() >= expected[1].items()


@pytest.mark.slow
def test_a_record_that_ends_every_worker_stops_the_run_and_nobody_else_is_blamed(plant, cluster, monkeypatch):
    monkeypatch.setattr(folder_source, "GROUP", 1)
    for _ in range(2):
        cluster.worker("--nanny", POISONED="1")
    (plant.home / "clients.toml").write_text(
        '[clients.erp]\nkind = "tests.service.engines.poison:connect"\ncollection = "workorders"\n'
        'inbound_dir = "data/inbound"\noutbound_dir = "data/outbound"\n'
    )
    for number in range(12):
        plant.put(f"{number:02}.json", {"id": number, **LIVE, "title": "poison" if number == 5 else "pump"})
    code, _, err = plant.ask("run", "--engine", cluster.url, CLIENTS_FILE="clients.toml")
    assert code == 1, err + cluster.logs()
    assert "was lost with the group that begins with 05.json, 3 times now; nothing is lost" in err
    assert set(plant.documents()) >= {0, 1, 2, 3, 4}
    plant.command("run", CLIENTS_FILE="clients.toml")
    assert set(plant.documents()) == set(range(12))


@pytest.mark.slow
def test_nobody_to_work_is_not_waited_for_for_ever(plant, cluster, monkeypatch):
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 1)
    plant.put("a.json", {"id": 1, **LIVE})
    code, _, err = plant.ask("run", "--engine", cluster.url)
    assert code == 1
    assert f"no worker has been with the Dask scheduler at {cluster.address} for 1 seconds: start some" in err


def test_a_scheduler_that_is_not_there_is_told(plant, monkeypatch):
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 1)
    plant.put("a.json", {"id": 1, **LIVE})
    code, _, err = plant.ask("run", "--engine", "dask://127.0.0.1:1")
    assert code == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in err


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused(plant, cluster, tmp_path):
    shutil.copytree(ROOT / "pipeline", tmp_path / "other/pipeline")
    version = tmp_path / "other/pipeline/version.py"
    version.write_text(version.read_text().replace('"0.', '"99.'))
    cluster.worker(path=str(tmp_path / "other"))
    plant.put("a.json", {"id": 1, **LIVE})
    code, _, err = plant.ask("run", "--engine", cluster.url)
    assert code == 1
    assert "is of version 99." in err
    assert plant.documents() == {}


@pytest.mark.slow
def test_a_folder_that_is_not_shared_is_told(plant, cluster):
    cluster.worker()
    plant.put("a.json", {"id": 1, **LIVE})
    inside = plant.home / "data/decisions.jsonl"
    code, _, err = plant.ask("run", "--engine", cluster.url, DATA_DECISION_LOG="/proc/self/cwd/data/decisions.jsonl")
    assert code == 1
    assert "/proc/self/cwd/data/decisions.jsonl is not there, which the run has: share its folder" in err
    assert inside.read_bytes() == b""
    assert plant.documents() == {}
