"""Who mended, retried, discarded or restored something stands in the letter, or in the log."""

import json
import socket

import msgspec

from pipeline.history.decisions import read_decisions

ADA, BOB = f"ada@{socket.gethostname()}", f"bob\\udcff@{socket.gethostname()}"
BAD = b'{"id": 7, "status": "LOST", "createdAt": "2026-10-01"}'


def archived(plant, name):
    path = plant.home / f"data/dead-letter/erp_json.inbound/{name}.jsonl"
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def test_it_stands_in_the_letters(plant):
    plant.put("7.json", BAD)
    plant.put("8.json", BAD.replace(b"7", b"8"))
    plant.command("run")
    seven, eight = (one["id"] for one in json.loads(plant.command("dead-letters", "list", "--json")))
    plant.command("dead-letters", "retry", seven, exits=3, USER="bob\udcff")
    assert f", retried by {BOB}\n" in plant.command("dead-letters", "show", seven)
    plant.command("dead-letters", "edit", seven, exits=3, VISUAL="sed -i s/LOST/NOWHERE/", USER="ada")
    plant.command("run")
    assert f", mended since by {ADA}, retried by {BOB}\n" in plant.command("dead-letters", "show", seven)
    plant.command("dead-letters", "edit", seven, VISUAL="sed -i s/NOWHERE/NEW/", USER="ada")
    plant.command("dead-letters", "retry", seven, USER="bob\udcff")
    (retried,) = archived(plant, "resolved")
    assert (retried["mendedBy"], retried["retriedBy"], retried["closedBy"]) == (ADA, BOB, BOB)
    plant.command("dead-letters", "discard", eight, "--because", "no use", USER="ada")
    (discarded,) = archived(plant, "discarded")
    assert (discarded["closedBy"], discarded["because"], "mendedBy" in discarded) == (ADA, "no use", False)


def test_it_stands_in_the_decision_log(plant):
    plant.put("1.json", {"id": 1, "status": "NEW", "title": "a", "createdAt": "2026-10-01", "updatedAt": "2026-10-01"})
    plant.command("run")
    plant.orders.update_one({"number": 1}, {"$set": {"title": "ours", "updatedAt": "2026-10-02T00:00:00.000Z"}})
    plant.put("2.json", {"id": 1, "status": "NEW", "title": "b", "createdAt": "2026-10-01", "updatedAt": "2026-10-03"})
    plant.command("run", USER="bob")
    plant.command("conflicts", "restore", "1", "title", USER="ada")
    (*before, last) = read_decisions(plant.home / "data/decisions.jsonl")
    assert ([one.by for one in before], last.rule, last.by) == ([""] * len(before), "restored", ADA)
    assert f"restored: a value that had given way was set again by hand, by {ADA}\n" in plant.command("explain", "1")
    assert json.loads(plant.command("conflicts", "list", "--json"))[0]["restored_by"] == ADA
    assert plant.command("conflicts", "list").endswith(f" {ADA}\n")


def test_where_no_user_is_named_it_is_the_systems_own_name_for_them(plant):
    plant.put("7.json", BAD)
    plant.command("run")
    (seven,) = (one["id"] for one in json.loads(plant.command("dead-letters", "list", "--json")))
    plant.environ.pop("USER", None)
    plant.command("dead-letters", "discard", seven, "--because", "no use")
    (discarded,) = archived(plant, "discarded")
    user, _, host = discarded["closedBy"].partition("@")
    assert (bool(user), host) == (True, socket.gethostname())
