"""Orders born in TracOS, and an ERP that numbers its own: one order there for each here, whatever is lost or killed."""

import os
import random
import signal

import pytest

from pipeline.testing.fake_erp import FakeErp
from pipeline.testing.habits import Faults, Habits
from tests.mongo import until

CLIENTS = """
[clients.erp]
kind = "rest_json"
url = "{url}"
ids = "client"
number = "ERP-{{id}}"
layout = "erp"
items = "items"
page = "cursor"
next = "cursor"
size_param = "limit"
page_size = 500
parallel = 8
{more}

[layouts.erp]
id = "no"
reference = "extRef"
created_at = "opened"
updated_at = "touched"
title = "text"
description = "notes"
status = {{ at = "state", words = {{ OPN = "created", APP = "pending", WIP = "in_progress", HLD = "on_hold", CLS = "completed", CAN = "cancelled" }} }}
deleted = "void"

[layouts.erp.fields]
priority = "prio"
"""  # noqa: E501 - TOML has inline tables in one line

UNREAD = 'direction = "outbound"'
FIND = 'find = "?extRef={number}"'


@pytest.fixture
def erp_of(plant):
    erps = []

    def make(more="", faults=None, **habits):
        said = {"numbers": lambda n: f"E{n:05}", "reference": "extRef", "texts": ("text", "notes")} | habits
        erp = FakeErp(id_key="no", updated_key="touched", faults=faults, habits=Habits(**said))
        erps.append(erp)
        erp.__enter__()
        (plant.home / "clients.toml").write_text(CLIENTS.format(url=erp.url, more=more))
        plant.environ["CLIENTS_FILE"] = "clients.toml"
        return erp

    yield make
    for erp in erps:
        erp.__exit__(None, None, None)


def born(plant, count):
    plant.orders.insert_many(
        {"number": f"T-{n}", "title": f"Pump {n}", "status": "created", "createdAt": "2026-10-01T00:00:00Z"}
        for n in range(count)
    )


def linked(plant, erp):
    """By our number, the client's id that our document has, where its order says the same of us."""
    documents = {one["number"]: one for one in plant.orders.find()}
    found = {number: (one.get("sync") or {}).get("id") for number, one in documents.items()}
    assert {order["extRef"]: order["no"] for order in erp.orders.values()} == found
    return found


FORGETFUL = {"honours_keys": False}


@pytest.mark.parametrize(
    ("more", "habits", "count", "often"),
    [
        pytest.param(FIND, FORGETFUL, 2000, 10, marks=pytest.mark.slow),
        (f"{FIND}\n{UNREAD}", FORGETFUL, 300, 3),
        pytest.param(UNREAD, {}, 300, 3, marks=pytest.mark.slow),
        pytest.param(FIND, {**FORGETFUL, "answers": "nothing"}, 300, 2, marks=pytest.mark.slow),
    ],
    ids=["find and list", "find alone", "keys alone", "never named"],
)
def test_killed_time_and_again_and_losing_answers_each_order_is_made_once(plant, erp_of, more, habits, count, often):
    chance = random.Random(7)
    erp = erp_of(more, Faults(0.05, ("lost", "drop", "503") if count < 2000 else ("lost",), seed=7), **habits)
    born(plant, count)
    for _ in range(often):
        goal = len(erp.orders) + chance.randrange(30, 90)
        process = plant.start()
        until(lambda goal=goal: len(erp.orders) >= goal)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    for _ in range(4):
        plant.run()
    assert len(erp.orders) == count
    assert len(set(linked(plant, erp).values())) == count
    assert plant.orders.count_documents({"isSynced": {"$ne": True}}) == 0
    erp.faults.share = 0.0
    before, requests = list(plant.orders.find()), erp.applied
    out, _ = plant.run()
    assert (list(plant.orders.find()), erp.applied) == (before, requests)
    assert "0 read   nothing to do" in out


def test_one_that_was_edited_while_its_answer_was_lost_is_linked_and_told(plant, erp_of):
    erp = erp_of(f"push_attempts = 1\n{UNREAD}\n{FIND}", **FORGETFUL)
    born(plant, 1)
    erp.faults.once("lost")
    plant.run()
    plant.orders.update_one({}, {"$set": {"title": "edited", "isSynced": False}})
    plant.run()
    plant.run()
    linked(plant, erp)
    assert [order["text"] for order in erp.orders.values()] == ["edited"]


def test_an_order_that_was_removed_there_is_a_letter(plant, erp_of):
    erp = erp_of(FIND)
    born(plant, 2)
    plant.run()
    erp.remove("E00001")
    plant.orders.update_many({}, {"$set": {"title": "edited", "isSynced": False}})
    plant.run()
    (letter,) = plant.letters().values()
    assert "does not have it (404): it was removed there" in str(letter.reasons[0])
    assert [one["text"] for one in erp.orders.values()] == ["edited"]
    assert plant.orders.count_documents({"deleted": True}) == 0


def test_what_the_list_shows_of_our_orders_links_them_before_anything_is_told(plant, erp_of):
    """Without find and without keys: after a crash the next run reads the list first."""
    erp = erp_of(honours_keys=False)
    born(plant, 20)
    process = plant.start()
    until(lambda: len(erp.orders) >= 5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    plant.run()
    assert len(erp.orders) == 20
    linked(plant, erp)


def test_an_order_of_the_erps_own_gets_its_number_and_is_told_under_its_id(plant, erp_of):
    erp = erp_of(FIND)
    erp.put({"no": "E77", "state": "WIP", "opened": "2026-10-01T00:00:00Z", "text": "Theirs", "prio": "high", "x": 1})
    plant.run()
    document = plant.orders.find_one({"number": "ERP-E77"})
    assert (document["title"], document["priority"], document["sync"]["id"]) == ("Theirs", "high", "E77")
    plant.orders.update_one({}, {"$set": {"priority": "low", "isSynced": False}})
    plant.run()
    assert (erp.orders["E77"]["prio"], erp.orders["E77"]["x"]) == ("low", 1)
    assert list(erp.orders) == ["E77"]
    for name in ("ERP-E77", "E77"):
        told = plant.command("explain", name)
        assert "order ERP-E77, E77 there" in told
        assert told.count("insert: new in TracOS") == told.count("sent: handed to the client") == 1


WAYS = [("upper",), ("cut",), ("trim",), ("escape",)]


@pytest.mark.parametrize(
    "way", [*(pytest.param(way, marks=pytest.mark.slow) for way in WAYS), ("escape", "upper", "cut")]
)
def test_whatever_it_makes_of_texts_it_ends_after_one_exchange_and_ours_are_kept(plant, erp_of, way):
    erp = erp_of(FIND, renders=way)
    born(plant, 3)
    ours = "  Pump <no. 7> & motor:  leaks oil "
    plant.orders.update_many({}, {"$set": {"title": ours, "description": ours}})
    plant.run()
    applied = erp.applied
    for number in erp.orders:
        erp.edit(number, prio="high")
    plant.run()
    plant.run()
    assert erp.applied == applied
    for document in plant.orders.find():
        assert (document["title"], document["description"], document["priority"]) == (ours, ours, "high")
    assert plant.orders.count_documents({"isSynced": {"$ne": True}}) == 0


@pytest.mark.parametrize("answers", ["location", "nothing"])
def test_however_it_tells_the_id_the_order_is_linked(plant, erp_of, answers):
    erp = erp_of(answers=answers)
    born(plant, 3)
    plant.run()
    plant.run()
    assert len(erp.orders) == 3
    linked(plant, erp)


def test_an_order_that_was_removed_there_is_a_deletion_where_absent_says_so(plant, erp_of):
    erp = erp_of(FIND + '\nabsent = "delete"')
    born(plant, 2)
    plant.run()
    erp.remove("E00001")
    plant.orders.update_many({}, {"$set": {"title": "edited", "isSynced": False}})
    plant.run()
    assert sorted(bool(one.get("deleted")) for one in plant.orders.find()) == [False, True]
    assert plant.orders.count_documents({"isSynced": {"$ne": True}}) == 0
    assert len(erp.orders) == 1


def test_an_order_that_the_whole_list_shows_no_more_is_a_deletion_where_absent_says_so(plant, erp_of):
    erp = erp_of('absent = "delete"')
    for number in ("E1", "E2", "E3"):
        erp.put({"no": number, "state": "WIP", "opened": "2026-10-01T00:00:00Z", "text": number})
    plant.run()
    erp.remove("E2")
    assert plant.command("plan", exits=4).count("deleted") >= 1
    assert plant.orders.count_documents({"deleted": True}) == 0
    plant.run()
    gone = plant.orders.find_one({"number": "ERP-E2"})
    assert (gone["deleted"], gone["isSynced"], gone["title"], gone["status"]) == (True, True, "E2", "in_progress")
    assert gone.get("deletedAt") is None
    assert plant.orders.count_documents({"deleted": True}) == 1
    before, requests = list(plant.orders.find()), len(erp.requests)
    plant.run()
    assert list(plant.orders.find()) == before
    assert len(erp.requests) == requests + 1


def test_too_many_deletions_stop_the_run(plant, erp_of):
    erp = erp_of('absent = "delete"')
    for number in ("E1", "E2", "E3"):
        erp.put({"no": number, "state": "WIP", "opened": "2026-10-01T00:00:00Z"})
    plant.run()
    for number in ("E1", "E2"):
        erp.remove(number)
    plant.run(exits=5, SYNC_MAX_DELETES="1")
    assert plant.orders.count_documents({"deleted": True}) <= 1


FOLDERS = """
[clients.erp]
kind = "{kind}"
inbound_dir = "data/inbound"
outbound_dir = "data/outbound"
ids = "client"
number = "ERP-{{id}}"
layout = "erp"

[layouts.erp]
id = "no"
reference = "extRef"
created_at = "opened"
title = "text"
status = {{ at = "state", words = {{ OPN = "created", APP = "pending", WIP = "in_progress", HLD = "on_hold", CLS = "completed", CAN = "cancelled" }} }}
"""  # noqa: E501 - TOML has inline tables in one line


@pytest.mark.parametrize(("kind", "ending"), [("erp_json", "json"), ("csv_folder", "csv")])
def test_over_folders_a_new_order_goes_out_without_an_id_and_its_record_links_it(plant, kind, ending):
    (plant.home / "clients.toml").write_text(FOLDERS.format(kind=kind))
    plant.environ["CLIENTS_FILE"] = "clients.toml"
    plant.orders.insert_one({"number": 5, "title": "Pump", "status": "created", "createdAt": "2026-10-01T00:00:00Z"})
    told = {"state": "OPN", "opened": "2026-10-01T00:00:00Z", "extRef": "5", "text": "Pump"}
    theirs = {"no": "5", "state": "WIP", "opened": "2026-10-01T00:00:00Z", "text": "Another"}
    put = {"json": lambda one: one, "csv": lambda one: f"{','.join(one)}\n{','.join(one.values())}\n".encode()}[ending]
    plant.put(f"theirs.{ending}", put(theirs))
    plant.run()
    assert [path.name for path in plant.outbound.iterdir()] == [f"5~new.{ending}"]
    body = (plant.outbound / f"5~new.{ending}").read_text()
    assert "extRef" in body
    assert '"no"' not in body
    plant.put(f"linked.{ending}", put({"no": "E7", **told}))
    plant.run()
    assert {one["number"]: str(one["sync"]["id"]) for one in plant.orders.find()} == {5: "E7", "ERP-5": "5"}
    plant.orders.update_many({}, {"$set": {"title": "edited", "isSynced": False}})
    plant.run()
    assert sorted(path.name for path in plant.outbound.iterdir()) == [f"5.{ending}", f"5~new.{ending}", f"E7.{ending}"]
    assert plant.orders.count_documents({}) == 2
