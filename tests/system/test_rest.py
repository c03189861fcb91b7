"""Orders pulled from an ERP's API and pushed back after edits, while some of its answers fail: both sides equal."""

import os
import signal

import pytest

from pipeline.testing import FakeErp, Faults
from tests.mongo import until

ORDERS = int(os.environ.get("REST_ORDERS", "2000"))
RATE = 2000
CLIENT = """\
[clients.north]
kind = "rest_json"
url = "{url}"
items = "items"
page = "cursor"
next = "cursor"
page_size = 500
since_param = "updated_since"
etag = "_etag"
rate = {rate}
parallel = 8
auth = {{ type = "bearer", token_env = "NORTH_TOKEN" }}
"""


@pytest.fixture
def erp():
    faults = Faults(0.05, ("429", "500", "503", "drop", "torn", "garbled", "duplicate", "reorder"), seed=1)
    with FakeErp(faults=faults, token="Bearer of-north") as erp:
        for number in range(ORDERS):
            moment = f"2026-10-{number % 28 + 1:02}T08:00:00Z"
            erp.put({"id": number, "status": "NEW", "title": f"t{number}", "createdAt": moment, "updatedAt": moment})
        yield erp


def start(plant, erp):
    plant.home.joinpath("clients.toml").write_text(CLIENT.format(url=erp.url, rate=RATE))
    return plant.start(CLIENTS_FILE="clients.toml", NORTH_TOKEN="of-north")


def sync(plant, erp):
    out, err = (process := start(plant, erp)).communicate(timeout=600)
    assert process.returncode == 0, out + err
    return out


def most_in_a_second(erp):
    times = sorted(request.at for request in erp.requests)
    most = start = 0
    for end, at in enumerate(times):
        while times[start] <= at - 1:
            start += 1
        most = max(most, end - start + 1)
    return most


def test_both_sides_are_equal_in_the_end(plant, erp):
    out = sync(plant, erp)
    assert f"{ORDERS:,} created" in out
    plant.orders.update_many({}, [{"$set": {"title": {"$concat": ["$title", " edited"]}, "isSynced": False}}])
    erp.edit(7, status="IN_PROGRESS")
    sync(plant, erp)
    for _ in range(5):  # what was left for the next run
        if not plant.orders.count_documents({"isSynced": {"$ne": True}}):
            break
        sync(plant, erp)
    documents = plant.documents()
    assert {int(key): one["title"] for key, one in erp.orders.items()} == {
        number: one["title"] for number, one in documents.items()
    }
    assert all(one["title"].endswith(" edited") for one in documents.values())
    assert (documents[7]["status"], erp.orders["7"]["status"]) == ("in_progress", "IN_PROGRESS")
    assert erp.applied >= ORDERS
    assert most_in_a_second(erp) <= RATE * 1.02
    before, applied = len(erp.requests), erp.applied
    out = sync(plant, erp)
    assert "outbound  TracOS → client" in out
    assert erp.applied == applied
    assert len(erp.requests) - before < ORDERS / 500 + 20


def test_what_the_erp_refuses_is_that_orders_dead_letter_with_the_reason(plant, erp):
    sync(plant, erp)
    erp.refuse["3"] = "asset 4711 is retired"
    plant.orders.update_many({"number": {"$in": [2, 3]}}, {"$set": {"title": "new", "isSynced": False}})
    sync(plant, erp)
    (letter,) = plant.letters().values()
    assert (letter.stage, letter.id) == ("deliver", 3)
    assert "refuses it (422): asset 4711 is retired" in str(letter.reasons[0])
    assert erp.orders["2"]["title"] == "new"


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_and_nothing_told_twice(plant, erp):
    def killed_after(requests):
        process = start(plant, erp)
        goal = len(erp.requests) + requests
        until(lambda: len(erp.requests) >= goal)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    killed_after(3)
    sync(plant, erp)
    assert plant.orders.count_documents({}) == ORDERS
    plant.orders.update_many({"number": {"$lt": 900}}, {"$set": {"title": "edited", "isSynced": False}})
    for _ in range(3):
        killed_after(200)
        marked = [str(one["number"]) for one in plant.orders.find({"title": "edited", "isSynced": True})]
        assert [number for number in marked if erp.orders[number]["title"] != "edited"] == []
    for _ in range(3):
        sync(plant, erp)
    assert {int(key): one["title"] for key, one in erp.orders.items()} == {
        number: "edited" if number < 900 else f"t{number}" for number in range(ORDERS)
    }
    assert not plant.orders.count_documents({"isSynced": {"$ne": True}})
    assert erp.applied == 900
