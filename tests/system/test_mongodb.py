"""Whole runs against what MongoDB does: members that do not confirm, other programs' documents, rules and indexes."""

import uuid

import msgspec
import pytest
from bson import Decimal128
from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from tests.mongo import until
from tests.plant import Plant


def born(number):
    """An order of TracOS's own."""
    return {"number": number, "status": "created", "createdAt": "2026-10-01T08:00:00Z"}


def fill(plant, orders):
    plant.inbound.mkdir(parents=True, exist_ok=True)
    for number in orders:
        order = {"id": number, "status": "NEW", "title": f"Order {number}", "createdAt": "2026-10-01T08:00:00Z"}
        plant.put(f"{number}.json", msgspec.json.encode(order))


@pytest.fixture
def members(tmp_path, replica_set):
    """A plant on three members."""
    plant = Plant(tmp_path, replica_set.uri + "&wtimeoutMS=300", f"test-{uuid.uuid4().hex[:12]}")
    yield plant
    plant.client.drop_database(plant.environ["MONGO_DATABASE"])
    plant.client.close()


@pytest.mark.slow
def test_files_are_not_deleted_before_a_majority_has_their_records(members, replica_set):
    """The primary alone had them; the run called them its own repeats, and deleted the files."""
    members.run()  # makes the collection and its indexes
    fill(members, range(50))
    with replica_set.behind(1, 2):
        _, err = members.run(exits=1, INBOUND_AFTER="delete", MONGO_RETRY_SECONDS=2)
        assert "no majority of its members confirms writes" in err.splitlines()[-1]
        assert len(list(members.inbound.iterdir())) == 50
    sure = members.orders.with_options(read_concern=ReadConcern("majority"))
    until(lambda: sure.count_documents({}) == 50)
    members.run(INBOUND_AFTER="delete")
    assert list(members.inbound.iterdir()) == []
    assert sure.count_documents({"isSynced": True}) == 50


@pytest.mark.parametrize("number", [Decimal128("7"), [7, 1000]])
def test_one_document_with_a_strange_number_is_one_letter_and_heals(plant, number):
    plant.orders.insert_one({"number": number, "status": "created"})
    fill(plant, range(60))
    plant.run()
    letters = plant.letters()
    assert {locator: letter.stage for locator, letter in letters.items() if letter.flow.endswith("inbound")} == {
        "7.json": "deliver"
    }
    assert plant.orders.count_documents({"isSynced": True}) == 59
    before = plant.state()
    plant.run()
    assert plant.state() == before
    plant.orders.delete_one({"number": number})
    plant.command("dead-letters", "retry", "--all")
    assert plant.orders.count_documents({"isSynced": True}) == 60


def test_a_validator_that_refuses_our_mark_is_told_once(plant):
    """Every run sent all orders again, for ever, and called it a success."""
    fields = {name: {} for name in ("_id", "number", "title", "status", "createdAt", "isSynced")}
    rules = {"$jsonSchema": {"bsonType": "object", "additionalProperties": False, "properties": fields}}
    plant.client[plant.environ["MONGO_DATABASE"]].create_collection("workorders", validator=rules)
    plant.orders.insert_many([born(number) for number in range(30)])
    plant.inbound.mkdir(parents=True)
    plant.run()
    assert (len(plant.letters()), plant.sent()) == (30, {})
    before = plant.state()
    out, err = plant.run()
    assert plant.state() == before
    assert "30 still dead" in out
    assert "dead letter" not in err
    plant.client[plant.environ["MONGO_DATABASE"]].command("collMod", "workorders", validator={})
    plant.run()
    assert len(plant.sent()) == 30
    assert plant.letters() == {}


def test_another_unique_index_makes_letters_that_name_it(plant):
    plant.orders.create_index("status", unique=True)
    fill(plant, range(5))
    plant.run("src/main.py", "--strict", exits=3)
    reasons = [str(reason) for letter in plant.letters().values() for reason in letter.reasons]
    assert len(reasons) == 4
    assert all("the same `status` (unique index status_1)" in reason for reason in reasons)
    before = plant.state()
    plant.run()
    assert plant.state() == before


def test_a_lagging_secondary_is_asked_nothing(members, replica_set):
    fill(members, range(20))
    members.run()
    members.orders.insert_many([born(-1 - number) for number in range(20)])
    uri = members.environ["MONGO_URI"] + "&readPreference=secondary&w=1&readConcernLevel=local"
    with replica_set.behind(1):
        _, err = members.run(MONGO_URI=uri)
        before = members.state()
        members.run(MONGO_URI=uri)
        assert members.state() == before
    assert "w=1 would lose orders" in err
    assert len(members.sent()) == 20
    with MongoClient(replica_set.uri) as client:
        assert client[members.environ["MONGO_DATABASE"]]["workorders"].count_documents({"isSynced": True}) == 40
