"""A run with lanes is a run: the same orders, letters, decisions and counts, whatever ends the lanes meanwhile."""

import contextlib
import json
import os
import random
import re
import signal
import time
from pathlib import Path

import msgspec
import pytest

from pipeline.transports.folder import source as folder_source

STATUSES = ["NEW", "PENDING", "IN_PROGRESS", "DONE", "UNHEARD OF"]
OURS = ("_id", "syncedAt")
"""Of documents: what is another each time."""


def record(chance, orders):
    """One that may be of an order that there are others of, and may be wrong."""
    number = chance.randrange(orders)
    at = f"2026-10-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:00:00Z"
    one = {
        "id": number if chance.random() < 0.95 else str(number),
        "status": chance.choice(STATUSES),
        "title": f"Pump {chance.randint(0, 9)}",
        "createdAt": "2026-10-01",
    }
    if chance.random() < 0.8:
        one["updatedAt"] = at
    if chance.random() < 0.1:
        one["deletedAt"] = at
    if chance.random() < 0.03:
        del one[chance.choice(list(one))]
    return msgspec.json.encode(one) if chance.random() > 0.02 else b"{"


def fill(plant, seed, records=400, orders=60):
    """A folder of files of lines and of single orders, many records an order."""
    plant.environ["SYNC_MAX_DELETES"] = str(max(1000, records))
    chance = random.Random(seed)
    left = [record(chance, orders) for _ in range(records)]
    while left:
        count = chance.choice([1, 1, 1, 7, 60])
        some, left = left[:count], left[count:]
        if count == 1:
            plant.put(f"{len(left):05}.json", some[0])
        else:
            plant.put(f"{len(left):05}.ndjson", b"\n".join(some))


def documents(plant):
    """What they say: that an order is deleted no more is nothing where it never was, null where it was once."""
    found = []
    for one in plant.orders.find({}, dict.fromkeys(OURS, 0)).sort("number"):
        for sent in one["sync"].get("sent", ()):
            del sent["at"]
        found.append({field: value for field, value in one.items() if value is not None})
    return found


def decisions(plant):
    lines = (plant.home / "data/decisions.jsonl").read_text().splitlines()
    entries = [{k: v for k, v in json.loads(line).items() if k not in {"at", "run"}} for line in lines]
    return sorted(re.sub("@[0-9a-f]{24}", "@_id", json.dumps(entry, sort_keys=True)) for entry in entries)


def letters(plant):
    return {str(locator): (letter.stage, letter.reasons, letter.raw) for locator, letter in plant.letters().items()}


def counts(out):
    return {flow["flow"]: {k: v for k, v in flow.items() if k != "sink"} for flow in json.loads(out)["flows"]}


def everything(plant, out):
    record = json.loads(out)
    told = {name: record.get(name) for name in ("rules", "gave_way", "drift", "exit", "ending")}
    return documents(plant), letters(plant), decisions(plant), counts(out), told


def clear(plant):
    """As before the first run; the inbound folder stays."""
    plant.client.drop_database(plant.orders.database.name)
    for path in sorted((plant.home / "data").rglob("*"), reverse=True):
        if plant.inbound not in (path, *path.parents):
            path.rmdir() if path.is_dir() else path.unlink()


def lanes_of(run):
    """The processes that are lanes of ``run``."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == run and b"\0lane\0" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
    return found


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
