"""Orders born in TracOS, and an ERP that numbers its orders itself: one there for one here, all linked in the end."""

import os
import signal

import pytest

from pipeline.testing import FakeErp, Faults, Habits
from tests.mongo import until

ORDERS = int(os.environ.get("BORN_ORDERS", "200"))
KILLS = int(os.environ.get("BORN_KILLS", "2"))
CLIENT = """\
[clients.north]
kind = "tests.asking:numbering"
url = "{url}"
items = "items"
page = "cursor"
next = "cursor"
since_param = "updated_since"
parallel = 8
{more}
"""
FIND = 'find = "?externalRef={number}"'


def erp_that(**habits):
    faults = Faults(0.05, ("lost", "drop", "503"), seed=1)
    ways = {"numbers": lambda count: 400000 + count, "reference": "externalRef"} | habits
    return FakeErp(merges=True, habits=Habits(**ways), faults=faults)


def start(plant, erp, more=""):
    plant.home.joinpath("clients.toml").write_text(CLIENT.format(url=erp.url, more=more))
    return plant.start(CLIENTS_FILE="clients.toml")


def sync(plant, erp, more=""):
    out, err = (process := start(plant, erp, more)).communicate(timeout=600)
    assert process.returncode == 0, out + err
    return out, err


def birth(plant, count):
    plant.orders.insert_many(
        {"number": number, "title": f"t{number}", "status": "created", "createdAt": "2026-10-01T08:00:00Z"}
        for number in range(count)
    )


def settled(plant, erp, more, runs=6):
    """Sync until nothing is left to tell."""
    for _ in range(runs):
        sync(plant, erp, more)
        if not plant.orders.count_documents({"isSynced": {"$ne": True}}):
            return
    left = list(plant.orders.find({"isSynced": {"$ne": True}}, limit=3))
    raise AssertionError(f"not all is told: {left}")


def check_one_for_one(plant, erp, count):
    documents = plant.documents()
    assert len(erp.orders) == len(documents) == count
    assert sorted(int(one["externalRef"]) for one in erp.orders.values()) == list(range(count))
    for number, document in documents.items():
        held = erp.orders[str(document["sync"]["id"])]
        assert (held["externalRef"], held["title"]) == (str(number), document["title"])
        assert "intent" not in document["sync"]


@pytest.mark.parametrize(
    ("more", "habits"),
    [
        ("", {}),
        (FIND, {"honours_keys": False}),
        (FIND, {"honours_keys": False, "answers": "nothing"}),
        ("", {"answers": "location"}),
    ],
    ids=["by keys", "by asking", "never named", "by Location"],
)
def test_killed_at_any_moment_each_is_made_once_and_linked(plant, more, habits):
    birth(plant, ORDERS)
    with erp_that(**habits) as erp:
        for _ in range(KILLS):
            process, goal = start(plant, erp, more), len(erp.requests) + ORDERS // KILLS // 2
            until(lambda goal=goal: len(erp.requests) >= goal)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        settled(plant, erp, more)
        sync(plant, erp, more)  # what was never named is linked by the list
        check_one_for_one(plant, erp, ORDERS)
        plant.orders.update_one({"number": 7}, {"$set": {"title": "edited", "isSynced": False}})
        settled(plant, erp, more)
        check_one_for_one(plant, erp, ORDERS)
        erp.faults.share, before = 0.0, erp.applied
        sync(plant, erp, more)
        assert erp.applied == before


def test_one_that_was_edited_while_its_answer_was_lost_is_linked_and_told(plant):
    birth(plant, 1)
    with erp_that(honours_keys=False) as erp:
        erp.faults.share = 0.0
        erp.faults.once("lost")
        sync(plant, erp, "push_attempts = 1")
        assert len(erp.orders) == 1
        plant.orders.update_one({}, {"$set": {"title": "edited", "isSynced": False}})
        settled(plant, erp, f'direction = "outbound"\n{FIND}')
        check_one_for_one(plant, erp, 1)
        assert erp.orders["400001"]["title"] == "edited"


def test_an_order_that_was_removed_there_is_a_dead_letter(plant):
    birth(plant, 2)
    with erp_that() as erp:
        erp.faults.share = 0.0
        settled(plant, erp, "")
        erp.remove(plant.documents()[1]["sync"]["id"])
        plant.orders.update_many({}, {"$set": {"title": "edited", "isSynced": False}})
        sync(plant, erp)
        (letter,) = plant.letters().values()
        assert "does not have it (404): it was removed there" in str(letter.reasons[0])
        assert [one["title"] for one in erp.orders.values()] == ["edited"]
