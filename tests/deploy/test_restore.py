"""What docs/backup.md says of a restore: the next runs make both sides equal again, in the order that it gives."""

import shutil

import pytest

pytestmark = pytest.mark.slow


def order(number, title, updated):
    return {"id": number, "status": "NEW", "createdAt": "2026-10-01", "title": title, "updatedAt": updated}


def edit(plant, title, updated):
    plant.orders.update_one({}, {"$set": {"title": title, "updatedAt": updated, "isSynced": False}})


def restore(plant, documents):
    plant.orders.delete_many({})
    plant.orders.insert_many(documents)


def test_an_order_that_waits_again_does_not_undo_what_the_client_was_told_since(plant):
    plant.put("1.json", order(1, "Pump", "2026-10-01T00:00:00Z"))
    plant.command("run")
    edit(plant, "first", "2026-10-02T00:00:00.000Z")
    backup = list(plant.orders.find())
    plant.command("run")
    edit(plant, "second", "2026-10-03T00:00:00.000Z")
    plant.command("run")
    plant.put("2.json", order(1, "second", "2026-10-03T00:00:00Z"))
    plant.command("run")
    restore(plant, backup)
    plant.command("run", "--only", "inbound")
    plant.command("reconcile")
    plant.command("run")
    assert plant.documents()[1]["title"] == "second"
    assert {record["title"] for record in plant.sent().values()} == {"second"}
    before = plant.state()
    plant.command("run")
    assert plant.state() == before


def test_what_was_archived_since_is_taken_once_it_lies_there_again(plant):
    after = {"INBOUND_AFTER": "archive"}
    plant.put("1.json", order(1, "Pump", "2026-10-01T00:00:00Z"))
    plant.command("run", **after)
    backup = list(plant.orders.find())
    plant.put("2.json", order(2, "Valve", "2026-10-02T00:00:00Z"))
    plant.command("run", **after)
    restore(plant, backup)
    plant.command("run", **after)
    assert set(plant.documents()) == {1}
    for path in (plant.inbound / "archive").iterdir():
        path.rename(plant.inbound / path.name)
    plant.command("run", **after)
    assert set(plant.documents()) == {1, 2}
    assert plant.documents()[1]["sync"]["rev"] == backup[0]["sync"]["rev"]


def test_older_folders_cost_nothing_but_letters_that_a_person_has_closed(plant, tmp_path):
    plant.put("bad.json", order(1, None, "2026-10-01T00:00:00Z") | {"status": "?"})
    plant.command("run")
    shutil.copytree(plant.home / "data", tmp_path / "backup")
    plant.put("bad.json", order(1, "Pump", "2026-10-02T00:00:00Z"))
    plant.command("run")
    assert plant.letters() == {}
    documents = list(plant.orders.find())
    for name in ("dead-letter", "state"):
        shutil.rmtree(plant.home / "data" / name)
        shutil.copytree(tmp_path / "backup" / name, plant.home / "data" / name)
    plant.command("run")
    assert list(plant.orders.find()) == documents
    assert plant.letters() == {}, "the file is not the one that failed"
