"""What gave way is seen, and undone: with the commands, over runs."""

import json
import os
import re
import signal
import socket

import pytest

from tests.mongo import until
from tests.plant import Plant
from tests.system.test_edits import edit, order


@pytest.fixture
def lost(plant):
    """A plant in which our title of order 1 gave way to the client's, and the client's status of order 1 to ours."""
    plant.put("1.json", order(1, "Pump", 2))
    plant.command("run")
    edit(plant, 1, title="Ours", updatedAt="2026-10-03T08:00:00Z")
    plant.put("2.json", order(1, "Theirs", 4))
    plant.command("run")
    edit(plant, 1, status="on_hold", updatedAt="2026-10-06T08:00:00Z")
    plant.put("3.json", order(1, "Theirs", 5, status="DONE"))
    plant.command("run")
    return plant


def listed(plant, *arguments):
    return json.loads(plant.command("conflicts", "list", "--json", *arguments))


def test_they_are_listed_newest_first(lost):
    rows = [line.split("\t") for line in lost.command("conflicts", "list").splitlines()]
    assert [row[1:] for row in rows] == [
        ["erp_json", "1", "status", "the client", "completed", "on_hold", "the edit in TracOS is as new or newer", ""],
        ["erp_json", "1", "title", "TracOS", "Ours", "Theirs", "the client's edit is newer", ""],
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", rows[0][0])
    newest = listed(lost)[0]
    assert [newest[key] for key in ("client", "number", "field", "side", "value", "kept")] == [
        *("erp_json", 1, "status", "client", "completed", "on_hold")
    ]
    assert newest.keys() >= {"at", "run", "locator", "because"}
    assert newest["run"] == json.loads(lost.command("history", "--json"))[-1]["run"]


def test_only_those_of_a_client_or_of_an_age(lost):
    assert len(listed(lost, "--since", "1h", "--client", "erp_json")) == 2
    assert listed(lost, "--since", "0s") == listed(lost, "--client", "sap") == []
    assert "nothing gave way in data/decisions.jsonl that is like this" in lost.shown(
        80, "conflicts", "list", "--since", "0s"
    )
    _, err = lost.run("pipeline/__main__.py", "conflicts", "list", "--since", "soon", exits=2)
    assert "expected an age such as 90m, 12h or 7d" in err


def test_without_any_that_is_said(plant):
    assert plant.shown(80, "conflicts", "list") == "nothing gave way in data/decisions.jsonl\n"
    assert listed(plant) == []


def test_one_is_restored_and_the_next_run_tells_the_client_once(lost):
    for path in lost.outbound.iterdir():
        path.unlink()
    out = lost.command("conflicts", "restore", "1", "title")
    assert out == "order 1: title set again: Theirs → Ours; the next run tells erp_json\n"
    document = lost.documents()[1]
    assert (document["title"], document["status"], document["isSynced"]) == ("Ours", "on_hold", False)
    lost.command("run")
    sent = lost.sent()["1.json"]
    assert (sent["title"], sent["status"]) == ("Ours", "ON_HOLD")
    assert lost.documents()[1]["isSynced"] is True

    before = lost.state()
    assert "nothing to do" in lost.command("run")
    assert lost.state() == before
    lost.put("echo.json", sent)
    lost.command("run")
    assert lost.documents()[1]["title"] == "Ours"
    assert len(listed(lost)) == 2
    restored, untouched = sorted(listed(lost), key=lambda one: one["field"], reverse=True)
    assert ("restored" in restored, "restored" in untouched) == (True, False)
    assert restored["field"] == "title"
    assert [bool(line.split("\t")[-1]) for line in lost.command("conflicts", "list").splitlines()] == [False, True]


def test_a_value_of_the_clients_is_restored_and_both_sides_say_it(lost):
    assert lost.sent()["1.json"]["status"] == "ON_HOLD"
    lost.command("conflicts", "restore", "1", "status")
    lost.command("run")
    assert lost.sent()["1.json"]["status"] == "DONE"
    lost.put("4.json", lost.sent()["1.json"])
    lost.command("run")
    document = lost.documents()[1]
    assert (document["status"], document["isSynced"]) == ("completed", True)
    before = lost.state()
    lost.command("run")
    assert lost.state() == before


def test_each_run_counts_its_own_by_side_and_an_idle_one_none(lost):
    runs = json.loads(lost.command("history", "--json"))
    assert [run.get("gave_way", {}) for run in runs] == [{}, {"tracos": 1}, {"client": 1}]
    edit(lost, 1, status="pending", title="Both", updatedAt="2026-10-09T08:00:00Z")
    lost.put("4.json", order(1, "Theirs too", 8, status="CANCELLED"))
    out = lost.command("run")
    assert "\n  values that gave way: 2 of the client\n  to see them: " in out
    assert "gave way" not in lost.command("run")
    assert [line.split("\t")[-1] for line in lost.command("history").splitlines()] == [
        "",
        "1 of TracOS",
        "1 of the client",
        "2 of the client",
        "",
    ]


def test_explain_and_the_journal_tell_of_it(lost):
    lost.command("conflicts", "restore", "1", "status", USER="ada")
    told = lost.command("explain", "1").splitlines()
    assert told[-2:] == [
        f"  restored: a value that had given way was set again by hand, by ada@{socket.gethostname()}",
        "  written: status: on_hold → completed",
    ]
    run = json.loads(lost.command("history", "--json"))[-1]
    assert (run["command"], run["exit"], run["rules"]) == ("restore", 0, {"restored": 1})
    assert json.loads(lost.command("explain", "1", "--json"))["decisions"][-1]["run"] == run["run"]


def test_the_clients_next_edit_is_merged_with_it_like_with_any_other(lost):
    lost.command("conflicts", "restore", "1", "title")
    lost.put("4.json", order(1, "Theirs", 7, description="new"))
    lost.command("run")
    document = lost.documents()[1]
    assert (document["title"], document["description"]) == ("Ours", "new")


def test_a_deletion_that_gave_way_is_restored(plant):
    plant.put("1.json", order(1, "Pump", 2))
    plant.command("run")
    edit(plant, 1, title="Ours", deleted=True, deletedAt="2026-10-03T08:00:00Z")
    plant.command("run")
    plant.put("2.json", order(1, "Pump", 4))
    plant.command("run")
    plant.put("3.json", order(1, "Pump", 5))
    plant.command("run")
    assert plant.documents()[1]["deleted"] is False
    assert listed(plant)[0]["field"] == "deleted"
    assert plant.command("conflicts", "restore", "1", "deleted") == (
        "order 1: deleted set again: False → True; the next run tells erp_json\n"
    )
    plant.command("run")
    assert plant.documents()[1]["deletedAt"] == plant.sent()["1.json"]["deletedAt"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["1", "description"], "data/decisions.jsonl tells of no description that gave way; there is status, title"),
        (["2", "title"], "/__main__.py conflicts list` shows what there is"),
        (["1", "title", "--client", "sap"], "order 1 of the client sap: "),
    ],
)
def test_what_never_gave_way_is_not_restored(lost, arguments, why):
    before = lost.documents()
    _, err = lost.run("pipeline/__main__.py", "conflicts", "restore", *arguments, exits=2)
    assert why in err
    assert lost.documents() == before


def test_what_is_there_already_or_gone_is_told(lost):
    lost.command("conflicts", "restore", "1", "title")
    before = lost.documents()
    _, err = lost.run("pipeline/__main__.py", "conflicts", "restore", "1", "title", exits=2)
    assert "order 1: title says that already: nothing was set" in err
    assert lost.documents() == before
    lost.orders.delete_many({})
    _, err = lost.run("pipeline/__main__.py", "conflicts", "restore", "1", "title", exits=2)
    assert "order 1: TracOS has no such order any more: nothing was set" in err


def test_a_client_that_is_told_nothing_and_one_that_has_the_say(plant):
    two_clients(plant)
    path = plant.home / "clients.toml"
    said = path.read_text()
    path.write_text(said.replace("[clients.a]", '[clients.a]\nauthority = { title = "client" }'))
    _, err = plant.run("pipeline/__main__.py", "conflicts", "restore", "1", "title", "--client", "a", exits=2)
    assert "order 1: a has the say in title, and the next run would set it back: nothing was set" in err
    assert plant.orders.database["a"].find_one()["title"] == "Theirs"
    path.write_text(said.replace("[clients.a]", '[clients.a]\ndirection = "inbound"'))
    assert plant.command("conflicts", "restore", "1", "title", "--client", "a") == (
        "order 1: title set again: Theirs → Ours a; its direction leaves it untold to a\n"
    )


def two_clients(plant):
    (plant.home / "clients.toml").write_text(
        "".join(
            f'[clients.{name}]\nkind = "erp_json"\ncollection = "{name}"\ninbound_dir = "{name}/in"\n'
            f'outbound_dir = "{name}/out"\n'
            for name in ("a", "b")
        )
    )
    plant.environ["CLIENTS_FILE"] = "clients.toml"
    for name in ("a", "b"):
        plant.inbound = plant.home / name / "in"
        plant.put("1.json", order(1, "Pump", 2))
    plant.command("run")
    for name in ("a", "b"):
        plant.orders = plant.orders.database[name]
        edit(plant, 1, title=f"Ours {name}", updatedAt="2026-10-03T08:00:00Z")
        plant.inbound = plant.home / name / "in"
        plant.put("2.json", order(1, "Theirs", 4))
    return json.loads(plant.command("run", "--json"))


def test_of_several_clients_the_one_that_is_meant_is_to_be_named(plant):
    assert two_clients(plant)["gave_way"] == {"tracos": 2}
    _, err = plant.run("pipeline/__main__.py", "conflicts", "restore", "1", "title", exits=2)
    assert "a title gave way in several clients: say --client a or b" in err
    plant.command("conflicts", "restore", "1", "title", "--client", "a")
    titles = {name: plant.orders.database[name].find_one()["title"] for name in ("a", "b")}
    assert titles == {"a": "Ours a", "b": "Theirs"}
    assert [("restored" in one) for one in listed(plant, "--client", "a") + listed(plant, "--client", "b")] == [
        True,
        False,
    ]
    (plant.home / "clients.toml").write_text(
        (plant.home / "clients.toml").read_text().replace("[clients.b]", "[clients.c]")
    )
    _, err = plant.run("pipeline/__main__.py", "conflicts", "restore", "1", "title", "--client", "b", exits=2)
    assert "the settings have no such client" in err


@pytest.mark.slow
def test_with_the_embedded_mongodb_and_killed_at_any_instant(tmp_path):
    plant = Plant(tmp_path)
    plant.run("setup.py")
    plant.run()
    one = next(found for found in listed(plant) if found["side"] == "tracos" and found["field"] == "title")
    arguments = ["conflicts", "restore", str(one["number"]), one["field"]]
    process = plant.start("pipeline/__main__.py", *arguments)
    until(lambda: b'"rule":"restored"' in (tmp_path / "data/decisions.jsonl").read_bytes())
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    process = plant.start("pipeline/__main__.py", *arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 2), out + err
    assert "set again" in out or "says that already" in err
    out, _ = plant.run()
    assert plant.sent()[f"{one['number']}.json"]["title"] == one["value"]
