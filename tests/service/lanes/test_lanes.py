"""A run with lanes is a run: the same orders, letters, decisions and counts, whatever ends the lanes meanwhile."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from pipeline.transports.folder import source as folder_source
from tests.service.lanes.compared import clear, documents, everything, fill, lanes_of, letters

MANY = [(100, 0), *(pytest.param(400, seed, marks=pytest.mark.slow) for seed in range(8))]
"""How many records, and of which seed."""

RECORDS = int(os.environ.get("LANES_RECORDS", "12000"))
"""How many are under way when something is killed; docs/scaling.md has been tried with 100,000."""
KILLS = max(2, RECORDS // 20_000)


@pytest.mark.parametrize(("records", "seed"), MANY)
def test_a_run_with_lanes_does_what_a_run_without_does(plant, monkeypatch, records, seed):
    monkeypatch.setattr(folder_source, "GROUP", 7)
    fill(plant, seed, records)
    alone = everything(plant, plant.command("run", "--json"))
    clear(plant)
    assert everything(plant, plant.command("run", "--json", "--workers", str(2 + seed % 2))) == alone
    assert documents(plant), "there is something to compare"
    before = plant.state()
    plant.command("run", "--workers", "2")
    assert plant.state() == before, "an idle run writes nothing"


@pytest.mark.slow
def test_lanes_that_are_killed_lose_nothing(plant):
    fill(plant, 1, records=RECORDS, orders=RECORDS * 3 // 4)
    alone = json.loads(plant.command("run", "--only", "inbound", "--json"))
    expected = documents(plant), letters(plant)
    clear(plant)
    run = plant.start("src/main.py", "--only", "inbound", "--json", WORKERS=2)
    killed = set()
    while len(killed) < KILLS and run.poll() is None:
        for lane in set(lanes_of(run.pid)) - killed:
            if plant.orders.estimated_document_count() > RECORDS // 16 * len(killed):
                os.kill(lane, signal.SIGKILL)
                killed.add(lane)
    out, err = run.communicate(timeout=120)
    assert len(killed) == KILLS
    assert run.returncode == 0, err
    assert "a lane ended by itself (signal 9)" in err
    assert documents(plant) == expected[0]
    # A letter that a later record was about to close, when its lane was killed, stays for a person.
    assert letters(plant).items() >= expected[1].items()
    [now], [before] = json.loads(out)["flows"], alone["flows"]
    assert (now["read"], now["dead"]) == (before["read"], before["dead"])
    assert lanes_of(run.pid) == []


@pytest.mark.slow
def test_lanes_end_with_a_run_that_is_killed(plant):
    fill(plant, 1, records=RECORDS // 2, orders=RECORDS // 2)
    run = plant.start("src/main.py", "--only", "inbound", WORKERS=2)
    while not (lanes := lanes_of(run.pid)):
        assert run.poll() is None
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{lane}").exists() for lane in lanes):
        assert time.monotonic() < deadline
    plant.run("src/main.py", "--only", "inbound")
    found = documents(plant)
    clear(plant)
    plant.run("src/main.py", "--only", "inbound")
    assert documents(plant) == found


@pytest.mark.slow
def test_a_lane_that_never_works_stops_the_run_with_a_line(plant):
    plant.put("a.json", {"id": 1, "status": "NEW", "createdAt": "2026-10-01"})
    plant.run("src/main.py", exits=0)
    plant.put("b.json", {"id": 2, "status": "NEW", "createdAt": "2026-10-01"})
    run = plant.start("src/main.py", WORKERS=2)
    while run.poll() is None:
        for lane in lanes_of(run.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(lane, signal.SIGKILL)
    _, err = run.communicate()
    assert run.returncode == 1, err
    assert ", 3 times now; nothing is lost: run again with WORKERS=1" in err
    plant.run("src/main.py")
    assert set(plant.documents()) == {1, 2}


@pytest.mark.slow
def test_many_lanes_delete_no_more_than_one_may(plant, monkeypatch):
    monkeypatch.setattr(folder_source, "GROUP", 5)
    live = {"status": "NEW", "createdAt": "2026-10-01", "updatedAt": "2026-10-02T00:00:00Z"}
    for number in range(40):
        plant.put(f"{number:02}.json", {"id": number, **live})
    plant.command("run")
    gone = live | dict.fromkeys(["updatedAt", "deletedAt"], "2026-10-03T00:00:00Z")
    for number in range(40):
        plant.put(f"{number:02}-gone.json", {"id": number, **gone})
    code, _, err = plant.ask("run", "--workers", "3", SYNC_MAX_DELETES=12)
    assert code == 5, err
    assert "SYNC_MAX_DELETES" in err
    assert 0 < sum(one["deleted"] for one in documents(plant)) <= 12


def test_the_first_records_are_taken_without_lanes(plant):
    plant.put("a.json", {"id": 1, "status": "NEW", "createdAt": "2026-10-01"})
    out = plant.command("run", "--workers", "auto")
    assert "1 created" in out


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "65"])
def test_a_number_of_workers_that_makes_no_sense_is_told(plant, wrong):
    code, _, err = plant.ask("run", WORKERS=wrong)
    assert code == 2
    assert "WORKERS: expected a number of processes, from 1 to 64, or auto" in err


@pytest.mark.slow
def test_keys_that_are_new_are_told_whichever_lane_sees_them(plant, monkeypatch):
    monkeypatch.setattr(folder_source, "GROUP", 2)
    order = {"status": "NEW", "createdAt": "2026-10-01"}
    plant.put("a.json", {"id": 0, **order})
    plant.command("run")
    for number in range(1, 9):
        plant.put(f"{number}.json", {"id": number, **order, **({"plant": "x"} if number == 7 else {})})
    found = json.loads(plant.command("run", "--json", "--workers", "2"))["drift"]
    assert "$.plant (in 1 of 8 records)" in str(found)
