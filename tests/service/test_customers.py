"""Several clients in one file: all mistakes told at once with line and key, and nobody stopped by another's."""

import fcntl
import json
import os
import shutil
from types import SimpleNamespace

import pytest
from msgspec import Struct

from pipeline.clients.connector import Connector
from pipeline.errors import WrongSettings, WrongUsage
from pipeline.history.journal import read_runs
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings, load
from tests.plant import Plant

ORDER = {"id": 7, "status": "NEW", "createdAt": "2026-10-01", "title": "of nobody"}
FILE = """\
[clients.acme]
kind = "erp_json"
collection = "acme"
inbound_dir = "data/acme/in"
outbound_dir = "data/acme/out"

[clients.north]
kind = "erp_json"
collection = "north"
inbound_dir = "data/north/in"
outbound_dir = "data/north/out"
"""


def sessions(tmp_path, text, **options):
    path = tmp_path / "clients.toml"
    path.write_text(text)
    return Sessions(Settings(clients_file=path), **options)


def problems(tmp_path, text):
    """By client, as ``line: what``."""
    try:
        found = sessions(tmp_path, text).problems
    except WrongSettings as error:
        found = {"": error.problems}
    return [line.removeprefix(f"{tmp_path}/clients.toml:") for lines in found.values() for line in lines]


def test_each_is_found_by_its_name_and_one_alone_may_be_asked_for(tmp_path):
    assert [one.client.name for one in sessions(tmp_path, FILE)] == ["acme", "north"]
    assert [one.client.name for one in sessions(tmp_path, FILE, only="north")] == ["north"]
    with pytest.raises(WrongUsage, match="no client 'south'; they have: acme, north"):
        sessions(tmp_path, FILE, only="south")


def test_a_client_of_a_wrong_name_is_told_all_that_is_wrong_with_it(tmp_path):
    told = problems(tmp_path, FILE + '[clients."a b"]\ncollection = 1\n')
    assert [line.split(": ")[2] for line in told] == ["name", "collection", "kind"]


def test_all_mistakes_are_told_with_line_and_key_and_the_others_are_served(tmp_path):
    text = FILE + (
        '[clients.south]\nkind = "erp_json"\ncollection = "south"\ntimezone = "Mars"\n'
        'inbound_dir = 5\noutbund_dir = "x"\n\n[clients.east]\nlayout = 1\n'
    )
    found = problems(tmp_path, text)
    south = [line for line in found if "south" in line]
    assert [line.split(": ")[:3] for line in south] == [
        ["15", "south", "timezone"],
        ["16", "south", "inbound_dir"],
        ["17", "south", "outbund_dir"],
        ["12", "south", "outbound_dir"],
    ]
    east = [line for line in found if "east" in line]
    assert [line.split(": ")[:3] for line in east] == [["20", "east", "layout"], ["19", "east", "kind"]]
    assert [one.client.name for one in sessions(tmp_path, text)] == ["acme", "north"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            '"north"',
            '"acme"',
            ["3: acme: collection: the same as collection of north", "9: north: collection: the same"],
        ),
        ('"data/north/in"', '"data/acme/../acme/out"', ["5: acme: outbound_dir: the same as inbound_dir of north"]),
        ('"data/north/in"', '"data/north/out"', ["10: north: inbound_dir: the same as outbound_dir of north"]),
        (
            '"data/north/in"',
            '"data/acme/in/north"',
            [
                "10: north: inbound_dir: lies in inbound_dir of acme",
                "4: acme: inbound_dir: inbound_dir of north lies in",
            ],
        ),
        ('"data/north/in"', '"data/north"', ["11: north: outbound_dir: lies in inbound_dir of north"]),
        ('"data/north/in"', '"data/dead-letter/north"', ["10: north: inbound_dir: lies in DATA_DEAD_LETTER_DIR"]),
        ('"data/north/in"', '"data"', ["north: inbound_dir: DATA_JOURNAL lies in it", "acme: outbound_dir: lies in"]),
        ('"north"', '"north"\ndatabase = "a b"', ["10: north: database: the database 'a b': expected"]),
        ('"north"', '"$north"', ["9: north: collection: the collection '$north': expected"]),
        ('"north"', '"acme.sync"', ["9: north: collection: the same as collection of acme", "3: acme: collection:"]),
        ('"erp_json"\ncollection = "north"', '"sap"\ncollection = "north"', ["no client is of the kind 'sap'"]),
        ('"erp_json"\ncollection = "north"', '"no:x"\ncollection = "north"', ["cannot be loaded: ModuleNotFoundError"]),
        ('collection = "north"', 'collection = "north"\nlayout = "odd"', ["10: north: layout: it has no such layout"]),
    ],
)
def test_what_would_let_orders_cross_or_cannot_be_made(tmp_path, old, new, told):
    found = "\n".join(problems(tmp_path, FILE.replace(old, new)))
    for line in told:
        assert line in found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[client.south]\nkind = 'erp_json'\n", "1: client: there is nothing of this name: did you mean clients? "),
        ("timezone = 'UTC'\n", "1: timezone: there is nothing of this name"),
        ("[[Clients]]\n", "1: Clients: there is nothing"),
    ],
)
def test_what_is_said_outside_of_all_clients_is_told_and_the_clients_are_served(tmp_path, text, told):
    assert [line for line in problems(tmp_path, text + FILE) if told in line]
    assert [one.client.name for one in sessions(tmp_path, text + FILE)] == ["acme", "north"]
    assert sessions(tmp_path, text + FILE, only="acme").problems == {}


@pytest.mark.parametrize(
    "key", ["inbound_dir", "outbound_dir", "collection", "layout", "timezone", "database", "every"]
)
@pytest.mark.parametrize("blank", ["", "  "])
def test_a_text_that_says_nothing_is_told(tmp_path, key, blank):
    acme, head, north = FILE.partition("[clients.north]")
    lines = [line for line in north.splitlines() if not line.startswith(key)]
    (told,) = problems(tmp_path, acme + head + "\n".join([*lines, f'{key} = "{blank}"']))
    assert told.split(": ")[1:3] == ["north", key]


def test_an_option_that_a_kind_does_not_have_is_told_with_the_one_that_may_be_meant(tmp_path):
    (told,) = problems(tmp_path, FILE + 'inbound_afer = "archive"\n')
    assert "12: north: inbound_afer: there is no such option; did you mean inbound_after? known: " in told


def test_settings_that_the_kind_of_the_one_client_does_not_use_are_told(tmp_path):
    said = {"CLIENTS": "tests.service.test_customers:bare", "DATA_OUTBOUND_DIR": "x", "DURABILITY": "file"}
    with pytest.raises(WrongSettings) as caught:
        Sessions(load(said, tmp_path / ".env"))
    named = [line.split(": ")[1] for line in caught.value.problems]
    assert named == ["DURABILITY", "DATA_OUTBOUND_DIR"]
    assert len(Sessions(load({"CLIENTS": said["CLIENTS"]}, tmp_path / ".env"))) == 1


class _Nothing(Struct):
    """A kind that has no options."""


def bare(settings):
    settings.read(_Nothing)
    agreed = {name: getattr(Connector, name) for name in ("ids", "number", "authority")}
    return SimpleNamespace(name=settings.name, terms=SimpleNamespace(fields=()), **agreed)


def test_a_file_is_read_as_utf_8_with_or_without_a_mark(tmp_path):
    assert len(sessions(tmp_path, "\ufeff" + FILE)) == 2


@pytest.mark.parametrize(("text", "why"), [("", "describes no client"), ("[", "is no TOML"), ("a = 1", "describes no")])
def test_a_file_that_describes_nobody(tmp_path, text, why):
    with pytest.raises(WrongSettings, match=f"CLIENTS_FILE: .*{why}"):
        sessions(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(WrongSettings, match=r"CLIENTS_FILE: .* cannot be read: No such file"):
        Sessions(Settings(clients_file=tmp_path / "none.toml"))


def test_clients_of_the_settings_choose_among_those_of_the_file(tmp_path):
    path = tmp_path / "clients.toml"
    path.write_text(FILE)
    assert [one.client.name for one in Sessions(Settings(clients_file=path, clients=("north",)))] == ["north"]
    with pytest.raises(WrongSettings, match=r"CLIENTS: .*no client 'west'; it has: acme, north"):
        Sessions(Settings(clients_file=path, clients=("west",)))


@pytest.fixture
def two(plant: Plant):
    """Two customers whose orders have the same numbers."""
    (plant.home / "clients.toml").write_text(FILE)
    plant.environ["CLIENTS_FILE"] = "clients.toml"
    for name in ("acme", "north"):
        plant.inbound = plant.home / "data" / name / "in"
        plant.put("7.json", ORDER | {"title": f"of {name}"})
    return plant


def titles(plant):
    database = plant.orders.database
    names = sorted(name for name in database.list_collection_names() if not name.endswith(".sync"))
    return {name: [one["title"] for one in database[name].find()] for name in names}


def test_a_setting_holds_for_all_and_an_option_for_one(tmp_path):
    path = tmp_path / "clients.toml"
    path.write_text(FILE + 'durability = "file"\n')
    made = Sessions(Settings(clients_file=path, durability="none"))
    assert [one.client.sink()._durability for one in made] == ["none", "file"]


class TestRun:
    def test_no_order_crosses_from_one_customer_to_another(self, two):
        out, _ = two.run()
        assert "work orders, 2 clients ⇄ TracOS: finished" in out
        assert titles(two) == {"acme": ["of acme"], "north": ["of north"]}
        two.orders.database["acme"].update_one({"number": 7}, {"$set": {"title": "edited", "isSynced": False}})
        plan = two.command("plan", exits=4)
        assert plan.splitlines()[0].split("\t") == ["7", "client", "title", "of acme", "edited", "sent", "acme"]
        two.run()
        assert [path.name for path in (two.home / "data").glob("*/out/*.json")] == ["7.json"]
        assert (two.home / "data/acme/out/7.json").exists()
        assert two.shown(80, "plan") == "nothing to do\n"

    def test_one_alone(self, two):
        two.run("src/main.py", "--client", "north")
        assert titles(two) == {"north": ["of north"]}

    def test_what_stops_one_stops_no_other(self, two):
        (two.home / "data/acme/out").write_text("in the way")
        two.orders.database["acme"].insert_one({"number": 9, "title": "new", "isSynced": False})
        out, err = two.run(exits=1)
        assert "acme: " in err
        assert "stopped; the log says why" in out
        assert titles(two)["north"] == ["of north"]
        assert two.command("doctor", exits=1).count("acme: outbound folder") == 1

    def test_what_stops_the_plan_of_one_stops_that_of_no_other(self, two):
        two.orders.database["acme"].insert_many([{"number": 1}, {"number": 1}])
        _, plan, err = two.ask("plan")
        assert {line.split("\t")[-1] for line in plan.splitlines()} == {"north"}
        assert err.splitlines()[-1] == "1 order would be written or sent, 0 items would be dead"

    def test_wrong_settings_of_one_stop_no_other(self, two):
        (two.home / "clients.toml").write_text(FILE.replace('"data/acme/in"', "5"))
        out, err = two.run(exits=2)
        assert "clients.toml:4: acme: inbound_dir: " in err
        assert "left out; the log says why" in out
        assert titles(two) == {"north": ["of north"]}

    def test_an_outage_of_mongodb_stops_all_at_once(self, two):
        _, err = two.run(exits=1, MONGO_URI="mongodb://127.0.0.1:1/?connectTimeoutMS=100", MONGO_RETRY_SECONDS="0")
        assert err.count("MongoDB did not answer") == 1

    def test_what_stops_the_retry_of_one_stops_that_of_no_other(self, two):
        for name in ("acme", "north"):
            two.inbound = two.home / "data" / name / "in"
            two.put("bad.json", b"{")
        two.run()
        letters = two.home / "data/dead-letter"
        (letters / "acme.inbound").rename(letters / "gone.inbound")
        shutil.copytree(letters / "gone.inbound", letters / "acme.inbound")
        for path in (letters / "gone.inbound").glob("*~*.json"):
            path.write_bytes(path.read_bytes().replace(b"acme", b"gone"))
        held = os.open(letters / "acme.inbound", os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)
        out, err = two.run("src/main.py", "dead-letters", "retry", "--all", "--json", exits=1)
        os.close(held)
        told = json.loads(out)
        assert (told["tried"], told["failed"]) == (1, 1)
        assert "acme: another run is using the dead letters" in told["error"]
        assert "gone: the settings have no such client" in err
        run = list(read_runs(two.home / "data/runs.jsonl"))[-1]
        assert (run.ending, run.exit, run.error) == ("incomplete", 1, told["error"])
        assert [flow.flow for flow in run.flows] == ["acme.inbound", "north.inbound"]

    def test_letters_of_both_are_listed_and_retried_together(self, two):
        for name in ("acme", "north"):
            two.inbound = two.home / "data" / name / "in"
            two.put("bad.json", b"{")
        two.run()
        lines = two.command("dead-letters", "list").splitlines()
        assert sorted(line.split("\t")[2] for line in lines) == ["acme.inbound", "north.inbound"]
        assert "2 retried: 0 passed and closed, 2 failed again" in two.command(
            "dead-letters", "retry", "--all", exits=3
        )
