"""Any engine: the outcome is that of one process, whatever is lost, asked for, or not what it was said to be."""

import json
import re
import sys

import msgspec
import pytest

from pipeline.clients.json_connector import JsonConnector
from pipeline.service.lanes.errand import PROGRAM, Errand, run, unpacked
from pipeline.service.lanes.wire import Deal
from pipeline.transports.folder import source as folder_source
from tests.service.lanes.compared import clear, documents, everything, fill, letters
from tests.service.lanes.test_lanes import MANY

LIVE = {"status": "NEW", "createdAt": "2026-10-01", "updatedAt": "2026-10-02T00:00:00Z"}
GONE = LIVE | dict.fromkeys(["updatedAt", "deletedAt"], "2026-10-03T00:00:00Z")


@pytest.mark.parametrize(("records", "seed"), MANY)
def test_a_run_with_an_engine_does_what_a_run_without_does(plant, engine, monkeypatch, records, seed):
    monkeypatch.setattr(folder_source, "GROUP", 7)
    fill(plant, seed, records)
    alone = everything(plant, plant.command("run", "--json"))
    clear(plant)
    assert everything(plant, plant.command("run", "--json", "--engine", engine)) == alone
    assert documents(plant), "there is something to compare"
    before = plant.state()
    plant.command("run", "--engine", engine)
    assert plant.state() == before, "an idle run writes nothing"


def test_where_nothing_is_to_be_taken_nobody_connects(plant):
    plant.put("a.json", {"id": 1, **LIVE})
    plant.put("b.json", b"{")
    plant.command("run")
    out = plant.command("run", "--engine", "dask://127.0.0.1:1")
    assert "1 still dead" in out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 8))
def test_whoever_is_lost_the_outcome_is_the_same(plant, threads, monkeypatch, seed):
    monkeypatch.setattr(folder_source, "GROUP", 7)
    fill(plant, seed, records=200)
    alone = json.loads(plant.command("run", "--json"))
    expected = documents(plant), letters(plant)
    err = ""
    while "a thread was lost with the group that begins with 00" not in err:  # that has work by chance alone
        clear(plant)
        code, out, err = plant.ask("run", "--json", "--engine", f"{threads}{seed}")
        assert code == 0, err
    assert documents(plant) == expected[0]
    assert letters(plant).items() >= expected[1].items()
    assert [flow["read"] for flow in json.loads(out)["flows"]] == [flow["read"] for flow in alone["flows"]]


def test_a_client_that_does_not_tell_whose_a_record_is_is_stopped(plant, engine, monkeypatch):
    plant.put("a.json", {"id": 1, **LIVE})
    monkeypatch.setattr(JsonConnector, "identify", lambda client, raw: None)
    code, _, err = plant.ask("run", "--engine", engine)
    assert code == 1
    assert "erp_json: a record in the group that begins with a.json is about another order than this kind of" in err
    assert plant.documents() == {}, "nothing was written"


@pytest.mark.parametrize("limit", [12, 40])
def test_an_engine_deletes_no_more_than_one_may(plant, engine, monkeypatch, limit):
    monkeypatch.setattr(folder_source, "GROUP", 5)
    for number in range(40):
        plant.put(f"{number:02}.json", {"id": number, **LIVE})
    plant.command("run")
    for number in range(40):
        plant.put(f"{number:02}-gone.json", {"id": number, **GONE})
    code, _, err = plant.ask("run", "--engine", engine, SYNC_MAX_DELETES=limit)
    deleted = sum(one["deleted"] for one in documents(plant))
    if limit == 40:
        assert (code, deleted) == (0, 40), err
    else:
        assert code == 5, err
        assert "would delete more than 12 work orders (SYNC_MAX_DELETES)" in err
        assert deleted <= 12


def answer(**changed):
    deal = Deal(number=0, flow="erp_json.inbound", payloads=[], places=[], parts=[], arrivals=[])
    errand = Errand(program=PROGRAM, hello=b"", needs=[], level="INFO", deal=deal, keys=[], permit=[])
    return unpacked(run(msgspec.msgpack.encode(msgspec.structs.replace(errand, **changed))))


def test_an_errand_of_another_program_is_refused():
    problem = answer(program="version 0.0.9 on Python 3.8").problem
    assert f"is of {PROGRAM}, the run of version 0.0.9 on Python 3.8: install the same everywhere" in problem.text
    assert unpacked(run(msgspec.msgpack.encode([PROGRAM, "not what it was in this version"]))).problem is not None


def test_a_worker_that_does_not_see_what_the_run_sees_says_so(tmp_path):
    text = answer(needs=[str(tmp_path), str(tmp_path / "decisions.jsonl")]).problem.text
    assert f"{tmp_path}/decisions.jsonl is not there, which the run has: share its folder, at the same path" in text


def test_an_engine_wants_a_mongodb_for_all_machines(plant):
    code, _, err = plant.ask("run", "--engine", "dask://127.0.0.1:1", MONGO_URI="")
    assert code == 2
    assert "ENGINE: set MONGO_URI too" in err


def test_an_engine_and_workers_are_one_too_many(plant):
    code, _, err = plant.ask("run", "--engine", "dask://127.0.0.1:1", "--workers", "2")
    assert code == 2
    assert "ENGINE and WORKERS are both set: set one of the two" in err


@pytest.mark.parametrize("url", ["spark://127.0.0.1:1", "dask", "127.0.0.1:8786", "__init__://x"])
def test_an_engine_that_nobody_has_is_told(plant, url):
    code, _, err = plant.ask("run", ENGINE=url)
    assert code == 2
    assert "ENGINE: expected the address of one of: dask, parts; such as dask://HOST:8786" in err


def test_without_the_extra_its_name_is_told(plant, monkeypatch):
    monkeypatch.delitem(sys.modules, "pipeline.service.engines.dask", raising=False)
    monkeypatch.setitem(sys.modules, "dask", None)
    code, _, err = plant.ask("run", ENGINE="dask://127.0.0.1:1")
    assert code == 2
    assert re.search(r"ENGINE: dask needs dask; install the extra: \S+ -m pip install -e '\S+\[dask\]'", err)
