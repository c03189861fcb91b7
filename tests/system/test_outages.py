"""MongoDB away, killed and back; the program interrupted and killed: nothing lost, nothing twice, nothing half done."""

import os
import random
import signal
import time

import msgspec
import pytest
from pymongo import MongoClient

from pipeline.tracos.embedded import embedded_mongod
from tests.mongo import mongods, until
from tests.plant import Plant

ORDERS = 6000
AWAY = "mongodb://user:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=200"


def fill(plant, orders=ORDERS):
    """As many orders on both sides, in files of one record and of many."""
    plant.inbound.mkdir(parents=True, exist_ok=True)
    for number in range(orders // 2):
        (plant.inbound / f"{number}.json").write_bytes(msgspec.json.encode(_order(number)))
    rest = [_order(number) for number in range(orders // 2, orders)]
    (plant.inbound / "rest.ndjson").write_bytes(msgspec.json.Encoder().encode_lines(rest))
    for path in plant.inbound.iterdir():
        os.utime(path, (1_760_000_000, 1_760_000_000))
    plant.orders.insert_many(
        [
            {"number": number, "title": f"Order {number}", "status": "created", "createdAt": "2026-10-01T08:00:00Z"}
            for number in range(-1, -1 - orders, -1)
        ]
    )


def _order(number):
    return {"id": number, "status": "NEW", "title": f"Order {number}", "createdAt": "2026-10-01T08:00:00Z"}


def check_whole(plant, orders=ORDERS):
    documents = plant.documents()
    assert plant.orders.count_documents({}) == 2 * orders
    assert set(documents) == set(range(-orders, orders))
    assert plant.orders.count_documents({"isSynced": True}) == 2 * orders
    assert all(documents[number]["title"] == f"Order {number}" for number in range(orders))
    assert plant.sent() == {f"{number}.json": _told(number) for number in range(-orders, 0)}
    assert len(list(plant.outbound.iterdir())) == orders
    assert plant.letters() == {}


def _told(number):
    return _order(number) | {"createdAt": "2026-10-01T08:00:00.000Z"}


def check_marked_have_files(plant):
    """Nothing is marked as synced without its whole file."""
    marked = [one["number"] for one in plant.orders.find({"number": {"$lt": 0}, "isSynced": True}, {"number": 1})]
    sent = plant.sent()
    assert [number for number in marked if sent.get(f"{number}.json") != _told(number)] == []


def check_sample_is_told(plant, orders):
    """The same of the embedded MongoDB's sample: every order that is remembered as handed over is there, as it is."""
    with embedded_mongod(plant.home / "data/mongo") as uri, MongoClient(uri) as client:
        documents = list(client["tractian"]["workorders"].find())
    assert [one["number"] for one in documents if not one["isSynced"]] == []
    handed_over = {one["number"]: one["title"] for one in documents if one["sync"].get("sent")}
    born_here = {one["number"] for one in documents if not one["sync"].get("received")}
    assert len(born_here) > orders / 2 - 10
    assert born_here <= handed_over.keys()
    sent = list(plant.sent().values())
    told = {one.get("id", one.get("orderNo")): one.get("title", one.get("summary")) for one in sent}
    assert (len(sent), told) == (len(handed_over), handed_over)


@pytest.fixture
def own(tmp_path, mongod):
    """A plant with a MongoDB of its own."""
    plant = Plant(tmp_path, mongod.uri, "plant")
    yield plant
    plant.client.close()


def test_mongodb_away_at_the_start_is_one_line_and_nothing_is_touched(tmp_path):
    plant = Plant(tmp_path, AWAY, "plant")
    plant.put("1.json", _order(1))
    _, err = plant.run(exits=1, MONGO_RETRY_SECONDS=1)
    assert "MongoDB did not answer for 1 s" in err.splitlines()[-1]
    assert "hunter2" not in err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1.json", "data", "inbound", "runs.jsonl"]
    plant.client.close()


@pytest.mark.parametrize("away", ["inbound", pytest.param("outbound", marks=pytest.mark.slow)])
def test_mongodb_killed_and_restarted_in_the_middle_loses_nothing(own, mongod, away):
    fill(own)
    process = own.start()
    sign = "$gte" if away == "inbound" else "$lt"
    until(lambda: own.orders.count_documents({"number": {sign: 0}, "isSynced": True}) > 0)
    mongod.kill()
    time.sleep(1)
    assert process.poll() is None
    mongod.start()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert f"{ORDERS:,} read   {ORDERS:,} created" in out
    check_whole(own)


@pytest.mark.slow
def test_mongodb_that_stays_away_ends_the_run_with_one_line_and_the_next_run_finishes(own, mongod):
    fill(own)
    process = own.start(MONGO_RETRY_SECONDS=1)
    until(lambda: own.orders.count_documents({"number": {"$gte": 0}}) > 0)
    mongod.kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "nothing is lost" in err.splitlines()[-1]
    assert "stopped in" in out
    assert "Traceback" not in err
    mongod.start()
    own.run()
    check_whole(own)


@pytest.mark.slow
def test_the_program_killed_at_random_moments_five_times_then_run_once(plant):
    fill(plant)
    chance = random.Random()
    for _ in range(5):
        process = plant.start()
        time.sleep(0.4 + chance.random() * 0.9)
        process.kill()
        process.communicate(timeout=60)
        check_marked_have_files(plant)
    plant.run()
    check_whole(plant)
    before = plant.state()
    plant.run()
    assert plant.state() == before


@pytest.mark.slow
def test_the_program_and_its_embedded_mongodb_killed_together_lose_nothing(tmp_path):
    plant = Plant(tmp_path)
    plant.run("setup.py", "--orders", "1500")
    chance = random.Random()
    for _ in range(5):
        process = plant.start()
        time.sleep(0.6 + chance.random() * 0.8)
        process.kill()
        process.communicate(timeout=60)
    out, _ = plant.run()
    assert "stopped" not in out
    out, err = plant.run()
    assert "nothing to do" in out
    assert (err, "still dead" in out) == ("", True)
    check_sample_is_told(plant, 1500)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_run_finishes_its_batch_says_what_was_done_and_leaves_no_server_behind(tmp_path, number):
    plant = Plant(tmp_path)
    plant.run("setup.py", "--orders", "6000")
    process = plant.start()
    until((tmp_path / "data/dead-letter/erp_json.inbound").exists)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted in" in out
    assert "Traceback" not in err
    until(lambda: not any(home == str(tmp_path) for _, _, home in mongods()))
    plant.run()
    check_sample_is_told(plant, 6000)


DROPS = """\
from pipeline.cli import program
from pipeline.transports.folder import sink

write = sink.write_files


def all_but_some(directory, files, **how):
    return write(directory, {name: files[name] for number, name in enumerate(files) if number % 100 != 50}, **how)


sink.write_files = all_but_some
raise SystemExit(program())
"""


@pytest.fixture
def drops(tmp_path):
    """The program with a sink that drops one file in a hundred, and says that it is there."""
    path = tmp_path / "drops.py"
    path.write_text(DROPS)
    return str(path)


@pytest.mark.parametrize("check", [lambda plant: check_whole(plant, 500), check_marked_have_files])
def test_these_checks_see_when_one_file_in_a_hundred_is_not_there(plant, drops, check):
    fill(plant, 500)
    plant.run(drops)
    assert len(plant.sent()) == 495
    with pytest.raises(AssertionError):
        check(plant)
    plant.orders.update_many({"number": {"$lt": 0}}, {"$set": {"isSynced": False}})
    plant.run()
    check(plant)


def test_the_check_of_the_sample_sees_it_too(tmp_path, drops):
    plant = Plant(tmp_path)
    plant.run("setup.py", "--orders", "300")
    plant.run(drops)
    with pytest.raises(AssertionError):
        check_sample_is_told(plant, 300)


@pytest.mark.slow
def test_an_edit_in_tracos_while_the_program_runs_is_kept(own):
    fill(own)
    process = own.start()
    edited = 0
    with MongoClient(own.environ["MONGO_URI"]) as client:
        orders = client["plant"]["workorders"]
        while process.poll() is None:
            number = random.randrange(-ORDERS, 0)
            orders.update_one({"number": number}, {"$set": {"title": f"edited {number}", "isSynced": False}})
            edited += 1
    process.communicate()
    own.run()
    assert edited > 10
    sent = own.sent()
    for document in own.orders.find({"title": {"$regex": "^edited"}}):
        assert document["isSynced"] is True
        assert sent[f"{document['number']}.json"]["title"] == document["title"]


def test_stack_traces_are_shown_at_trace_alone(tmp_path):
    plant = Plant(tmp_path, AWAY, "plant")
    plant.run(exits=1, MONGO_RETRY_SECONDS=0)
    for style in ("text", "json"):
        process = plant.start(MONGO_RETRY_SECONDS=0, LOG_LEVEL="TRACE", LOG_FORMAT=style)
        _, err = process.communicate(timeout=60)
        assert "Traceback" in err
        assert "hunter2" not in err
    plant.client.close()
