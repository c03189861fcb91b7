"""What both sides hold of an order now, as ``explain --now`` tells it."""

import json

RECORD = {"id": 7, "status": "NEW", "createdAt": "2026-10-01", "title": "As shown"}


def now(plant, number, **environ):
    return json.loads(plant.command("explain", number, "--now", "--json", **environ))["now"]


def fields(one):
    return {field["field"]: (field["tracos"], field["shown"], field["told"]) for field in one["fields"]}


def test_an_edit_that_waits_and_one_that_was_told_are_seen_on_both_sides(plant):
    plant.put("7.json", RECORD)
    plant.command("run")
    (before,) = now(plant, "7")
    assert (before["client"], before["number"], before["is_synced"]) == ("erp_json", 7, True)
    assert fields(before)["title"] == ("As shown", "As shown", None)

    plant.orders.update_one({"number": 7}, {"$set": {"title": "As edited", "isSynced": False}})
    (waiting,) = now(plant, "7")
    assert (fields(waiting)["title"], waiting["is_synced"]) == (("As edited", "As shown", None), False)
    plant.command("run")
    (told,) = now(plant, "7")
    assert (fields(told)["title"], told["is_synced"]) == (("As edited", "As shown", "As edited"), True)
    assert "title: TracOS As edited, erp_json showed As shown, told As edited" in plant.command("explain", "7", "--now")


def test_what_cannot_be_understood_says_why_and_what_is_not_there_is_nothing(plant):
    plant.put("7.json", RECORD)
    plant.command("run")
    plant.orders.update_one({"number": 7}, {"$set": {"status": "odd"}})
    (one,) = now(plant, "7")
    assert (one["fields"], "status" in one["reasons"][0]) == ([], True)
    assert now(plant, "8") == []


def test_nothing_is_written_and_an_outage_is_one_line(plant):
    plant.put("7.json", RECORD)
    plant.command("run")
    before, journal = plant.state(), (plant.home / "data/runs.jsonl").read_bytes()
    now(plant, "7")
    assert (plant.state(), (plant.home / "data/runs.jsonl").read_bytes()) == (before, journal)
    code, out, err = plant.ask("explain", "7", "--now", MONGO_URI="mongodb://127.0.0.1:1/")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "insert" in out
