"""The same in what is no run over folders: runs of a client with an API, ``reconcile --fix``, ``conflicts restore``."""

import uuid

import pytest

from pipeline.testing import FakeErp
from tests.failovers import check
from tests.failovers.faults import FAULTS
from tests.failovers.members import living
from tests.failovers.orders import CREATED, EDITED, fill
from tests.failovers.play import Watched
from tests.mongo import again, until
from tests.plant import Plant

pytestmark = pytest.mark.slow

ORDERS = 1000
SOME = 50
"""Orders of a flow that are through when something befalls it."""
RUNS = 4
UNTIL_IDLE = 3
"""Runs, after which an API has shown all that it was told."""

REST = """\
[clients.north]
kind = "rest_json"
url = "{url}"
items = "items"
page = "cursor"
next = "cursor"
since_param = "updated_since"
etag = "_etag"
page_size = 100
size_param = "limit"
"""


@pytest.fixture(scope="module")
def members():
    """Three members that live as long as these tests."""
    with living() as members:
        yield members


@pytest.fixture
def plant(members, tmp_path):
    plant = Plant(tmp_path, members.uri, f"test-{uuid.uuid4().hex[:12]}")
    yield plant
    again(lambda: plant.client.drop_database(plant.environ["MONGO_DATABASE"]))
    plant.client.close()


@pytest.fixture
def north(plant):
    """A client with an API, with as many orders on each side."""
    with FakeErp() as erp:
        (plant.home / "clients.toml").write_text(REST.format(url=erp.url))
        plant.environ["CLIENTS_FILE"] = "clients.toml"
        for number in range(ORDERS):
            erp.put(record(number, f"Order {number}"))
        born = [document(number, f"Order {number}") for number in range(-ORDERS, 0)]
        plant.orders.insert_many(born)
        yield erp


def record(number, title, at=CREATED):
    return {"id": number, "status": "NEW", "title": title, "createdAt": CREATED, "updatedAt": at}


def document(number, title):
    return {"number": number, "title": title, "status": "created", "createdAt": CREATED}


def strike(members, kind, run):
    """What befalls the replica set while a command is under way."""
    with FAULTS[kind](members, run):
        pass
    members.wait_until_well()


def until_done(plant, members, kind, *arguments, lines=0, exits=(0,)):
    """Give the command until it finishes; what befalls it does so in the first time."""
    for attempt in range(RUNS):
        run = Watched(plant, *arguments)
        if not attempt:
            assert not lines or run.reach(lines), "it was over before anything befell it"
            strike(members, kind, run)
        code, err = run.end()
        check.check_log(err, has_report="reconcile" in arguments)
        if code in exits:
            return
        assert code in (1, 6), err  # 6: its lease was rolled back, too
    raise AssertionError(f"none of {RUNS} finished: {err}")


def titles(plant):
    found = again(lambda: list(plant.orders.find({}, {"number": 1, "title": 1, "isSynced": 1})))
    assert [one["number"] for one in found if one["isSynced"] is not True] == []
    assert len({one["number"] for one in found}) == len(found)
    return {str(one["number"]): one["title"] for one in found}


@pytest.mark.parametrize("kind", ["kill", "roll-back"])
def test_a_client_with_an_api(members, plant, north, kind):
    wanted = {str(number): f"Order {number}" for number in range(-ORDERS, ORDERS)}
    until_done(plant, members, kind, "run", "--only", "inbound", lines=SOME)
    until_done(plant, members, kind, "run", "--only", "outbound", lines=SOME)
    check.see("documents", titles(plant), wanted)
    check.see("orders of the client", {key: one["title"] for key, one in north.orders.items()}, wanted)
    for number in range(0, ORDERS, 2):
        wanted[str(number)] = f"client {number}"
        north.put({**north.orders[str(number)], "title": f"client {number}", "updatedAt": EDITED})
    odd = [number for number in range(-ORDERS, ORDERS) if number % 2]
    wanted |= {str(number): f"tracos {number}" for number in odd}
    title = {"$concat": ["tracos ", {"$toString": "$number"}]}
    sets = {"title": title, "isSynced": False, "updatedAt": EDITED}
    again(lambda: plant.orders.update_many({"number": {"$in": odd}}, [{"$set": sets}]))
    until_done(plant, members, kind, "run", lines=SOME)
    for _ in range(UNTIL_IDLE):
        plant.run("src/main.py", "run")
    check.see("documents", titles(plant), wanted)
    check.see("orders of the client", {key: one["title"] for key, one in north.orders.items()}, wanted)
    assert plant.letters() == {}
    check.check_idle(plant)


@pytest.mark.parametrize("kind", ["kill", "roll-back"])
def test_what_differs_is_mended(members, plant, kind):
    fill(plant, ORDERS)
    plant.run("src/main.py", "run")
    unmarked = [number for number in range(-ORDERS, ORDERS) if number % 3 == 0]
    title = {"$concat": ["tracos ", {"$toString": "$number"}]}
    sets = {"title": title, "updatedAt": EDITED}
    again(lambda: plant.orders.update_many({"number": {"$in": unmarked}}, [{"$set": sets}]))
    until_done(plant, members, kind, "reconcile", "--fix", exits=(0, 4))
    plant.run("src/main.py", "run")
    wanted = {str(number): f"Order {number}" for number in range(-ORDERS, ORDERS)}
    wanted |= {str(number): f"tracos {number}" for number in unmarked}
    check.see("documents", titles(plant), wanted)
    sent = {name.removesuffix(".json"): one["title"] for name, one in plant.sent().items()}
    told = {number: title for number, title in wanted.items() if number.startswith("-") or title.startswith("tracos")}
    check.see("told", sent, told)
    assert plant.letters() == {}
    check.check_idle(plant)


@pytest.mark.parametrize("kind", ["step-down", "cut-off"])
def test_a_value_that_gave_way_is_restored(members, plant, kind):
    plant.put("1.json", record(1, "first"))
    plant.run("src/main.py", "run")
    again(lambda: plant.orders.update_one({"number": 1}, {"$set": {"title": "ours", "isSynced": False}}))
    plant.put("2.json", record(1, "theirs", EDITED))
    plant.run("src/main.py", "run")
    assert titles(plant) == {"1": "theirs"}
    until_done(plant, members, kind, "conflicts", "restore", "1", "title", exits=(0, 2))  # 2: it was restored already
    plant.run("src/main.py", "run")
    until(lambda: titles(plant) == {"1": "ours"})
    assert plant.sent()["1.json"]["title"] == "ours"
    check.check_idle(plant)
