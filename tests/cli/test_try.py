"""``clients try``: how a sample is read, field by field, and what would be told back; nobody is asked for it."""

import gzip
import json
import re

import pytest

from tests.plant import ROOT, Plant

ACME = """\
[clients.acme]
kind = "{kind}"
layout = "acme"
timezone = "America/Sao_Paulo"
{more}

[layouts.acme]
id = "order.ref"
reference = "order.ours"
title = {{ at = "order.text", max = 20 }}
updated_at = {{ at = "order.touched", format = "%d/%m/%Y %H:%M" }}
deleted = "order.void"
where = {{ "order.plant" = ["A1"] }}

[layouts.acme.status]
at = "order.state"
words = {{ OPN = "created", APP = "pending", WIP = "in_progress", CLS = "completed", CAN = "cancelled" }}
tell = {{ on_hold = "WIP" }}

[layouts.acme.fields]
priority = {{ at = "order.prio", words = {{ "1" = "high", "2" = "low" }} }}
"""
FOLDERS = 'inbound_dir = "in"\noutbound_dir = "out"'
API = 'url = "http://127.0.0.1:1/orders"\nitems = "data.rows"\nauth = {{ type = "bearer", token_env = "UNSET" }}'
SECOND = '[clients.b]\nkind = "erp_json"\ncollection = "b"\ninbound_dir = "b/in"\noutbound_dir = "b/out"'
GOOD = {
    "order": {
        "ref": 7,
        "text": "Pump",
        "state": "WIP",
        "plant": "A1",
        "prio": 2,
        "touched": "01/10/2026 08:00",
        "crew": [{"name": "x"}, {"name": "y"}],
    }
}
BAD = {"order": {"ref": 8, "text": 5, "state": "LOST", "plant": "A1"}}
OTHERS = {"order": {"ref": 9, "plant": "B1"}}


@pytest.fixture
def home(tmp_path):
    """Where nothing is: no database, no folder, no server."""
    return Plant(tmp_path)


def sample(home, data, *, name="sample.json", kind="erp_json", more=FOLDERS, exits=0, arguments=()):
    """What ``clients try --json`` prints of ``data``, which is all that it leaves behind."""
    (home.home / "clients.toml").write_text(ACME.format(kind=kind, more=more.replace("{{", "{").replace("}}", "}")))
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    (home.home / name).write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    before = sorted(home.home.rglob("*"))
    out = home.command(
        "clients",
        "try",
        name,
        "--json",
        *arguments,
        exits=exits,
        CLIENTS_FILE="clients.toml",
        MONGO_URI="mongodb://x:1",
    )
    assert sorted(home.home.rglob("*")) == before
    return json.loads(out)


def field(read, name):
    return next(one for one in read["fields"] if one["field"] == name)


def test_each_field_says_where_it_is_what_is_there_and_what_that_means(home):
    (read,) = sample(home, GOOD)
    assert (read["verdict"], read["layout"], read.get("reasons")) == ("passes", "acme", None)
    assert field(read, "status") == {"field": "status", "path": "$.order.state", "said": "WIP", "means": "in_progress"}
    assert field(read, "updatedAt")["means"] == "2026-10-01T11:00:00Z"
    assert field(read, "priority") == {"field": "priority", "path": "$.order.prio", "said": 2, "means": "low"}
    assert field(read, "deleted") == {"field": "deleted", "path": "$.order.void"}
    assert read["unnamed"] == ["$.order.crew"]


def test_all_that_is_wrong_is_told_where_it_is(home):
    (read,) = sample(home, BAD, exits=3)
    assert (read["verdict"], read["stage"]) == ("would be dead", "validate")
    assert [reason["path"] for reason in read["reasons"]] == ["$.order.state", "$.order.text"]
    assert field(read, "title")["reasons"] == ["not a text"]
    assert field(read, "status")["reasons"][0].startswith("unknown status; known: OPN, APP")
    assert "told" not in read


def test_records_of_others_are_no_failure(home):
    read = sample(home, [GOOD, OTHERS])
    assert [one["verdict"] for one in read] == ["passes", "of others"]
    assert "an order of others" in field(read[1], "where")["reasons"][0]


def test_what_would_be_told_back_is_what_the_client_makes_of_it(home):
    (read,) = sample(home, GOOD)
    (change, new) = read["told"]
    assert json.loads(change["body"])["order"] | {"touched": 0} == {
        "ref": 7,
        "text": "Pump",
        "state": "WIP",
        "prio": 2,
        "touched": 0,
        "void": False,
    }
    assert json.loads(new["body"])["order"].items() >= {"ref": 7, "ours": 7, "plant": "A1"}.items()
    assert json.loads(change["body"])["order"]["touched"] == "01/10/2026 08:00"


def test_with_ids_of_the_clients_own_a_new_order_is_told_without_one(home):
    more = API + '\nids = "client"\nnumber = "A-{id}"'
    (read,) = sample(home, {"data": {"rows": [GOOD]}}, kind="rest_json", more=more)
    (change, new) = (json.loads(one["body"])["order"] for one in read["told"])
    assert (change["ref"], new["ours"], "ref" in new) == (7, "A-7", False)


def test_what_cannot_be_told_back_says_why(home):
    long = {"order": GOOD["order"] | {"text": "more than twenty characters"}}
    (read,) = sample(home, long)
    assert read["verdict"] == "passes"
    (told,) = read["told"]
    assert told["reasons"] == [{"message": "more than the 20 characters of a short text", "path": "$.title"}]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.ndjson", b"\n".join(json.dumps(one).encode() for one in (GOOD, BAD, {"x": 1}))),
        ("a.JSON.gz", json.dumps([GOOD, BAD, {"x": 1}]).encode()),
        ("a.json", json.dumps([GOOD, BAD, {"x": 1}]).encode()),
    ],
)
def test_files_are_taken_apart_as_the_folder_does(home, name, data):
    read = sample(home, data, name=name, exits=3)
    assert [one["verdict"] for one in read] == ["passes", "would be dead", "would be dead"]
    assert len({one["locator"] for one in read}) == 3


def test_an_object_around_orders_is_told_as_a_run_tells_it(home):
    (read,) = sample(home, {"items": [GOOD, GOOD]}, exits=3)
    assert "which are in $.items" in read["reasons"][0]["message"]


def test_what_is_malformed_says_where(home):
    (read,) = sample(home, b'{"order": ', exits=3)
    assert (read["stage"], read["reasons"][0]["offset"]) == ("parse", 10)


def test_a_saved_page_of_an_api_or_one_order_of_it(home):
    page = sample(home, {"data": {"rows": [GOOD, BAD]}}, kind="rest_json", more=API, exits=3)
    assert [(one["locator"], one["verdict"]) for one in page] == [
        ("sample.json[0]", "passes"),
        ("sample.json[1]", "would be dead"),
    ]
    wide = json.dumps({"data": {"rows": [GOOD]}}).encode("utf-16")
    assert sample(home, wide, name="a.answer.gz", kind="rest_json", more=API)[0]["verdict"] == "passes"
    (one,) = sample(home, {"result": GOOD}, kind="rest_json", more=API)
    assert one["verdict"] == "passes"
    (none,) = sample(home, {"data": {"error": "x"}}, kind="rest_json", more=API, exits=3)
    assert "nothing at 'data.rows'" in none["reasons"][0]["message"]


def test_rows_of_csv_are_read_and_told_as_rows(home):
    (home.home / "c.toml").write_text(f'[clients.c]\nkind = "csv_folder"\n{FOLDERS}\ndelimiter = ";"\n')
    (home.home / "a.csv").write_text(
        "id;status;createdAt;title;Crew\n7;NEW;2026-10-01;Pump;y\n4,1E+3;NEW;2026-10-01;x\n"
    )
    read = json.loads(home.command("clients", "try", "a.csv", "--json", exits=3, CLIENTS_FILE="c.toml"))
    assert [one["verdict"] for one in read] == ["passes", "would be dead"]
    assert field(read[0], "createdAt")["means"] == "2026-10-01T00:00:00Z"
    assert ";Pump" in read[0]["told"][0]["body"].splitlines()[1]
    assert "rounded" in field(read[1], "number")["reasons"][0]
    assert read[0]["unnamed"] == ["$.Crew"]


def test_for_a_person_it_is_a_table_a_record_and_a_count(home):
    sample(home, [GOOD, BAD, OTHERS], exits=3)
    out = home.shown(100, "clients", "try", "sample.json", exits=3, CLIENTS_FILE="clients.toml")
    lines = out.splitlines()
    assert lines[0] == "sample.json[0], acme: passes"
    assert re.search(r'(?m)^status +\$\.order\.state +"WIP" +in_progress$', out)
    assert "  not named by the layout: $.order.crew" in lines
    assert "sample.json[1], acme: would be dead at validate" in lines
    assert "sample.json[2], acme: of others: skipped, and told to nobody" in lines
    assert lines[-1] == "1 passes, 1 would be dead, 1 of others"


def test_for_a_program_it_is_a_line_of_seven_cells_a_field(home):
    sample(home, [GOOD, BAD, OTHERS], exits=3)
    _, out, err = home.ask("clients", "try", "sample.json", CLIENTS_FILE="clients.toml")
    rows = [line.split("\t") for line in out.splitlines()]
    assert {len(row) for row in rows} == {7}
    assert ["sample.json[0]", "passes", "status", "$.order.state", '"WIP"', "in_progress", ""] in rows
    assert ["sample.json[0]", "passes", "not named", "$.order.crew", "", "", ""] in rows
    assert {row[1] for row in rows} == {"passes", "would be dead", "of others"}
    assert err == "1 passes, 1 would be dead, 1 of others\n"


@pytest.mark.parametrize(
    ("arguments", "clients", "told"),
    [
        (["missing.json"], "", "missing.json cannot be read: No such file"),
        (["a.txt"], "", "a.txt: expected a name that ends in .json"),
        (["folder.json"], "", "folder.json is no file"),
        (["a.json", "--client", "nobody"], "", "no client 'nobody'; they have: acme"),
        (["a.json"], SECOND, "say which client reads it, --client NAME: acme, b"),
        ([], "", "FILE"),
    ],
)
def test_wrong_usage_exits_with_two(home, arguments, clients, told):
    text = ACME.format(kind="erp_json", more=FOLDERS)
    (home.home / "clients.toml").write_text(f"{text}\n{clients}")
    (home.home / "folder.json").mkdir()
    for name in ("a.txt", "a.json"):
        (home.home / name).write_text("{}")
    _, err = home.run("pipeline/__main__.py", "clients", "try", *arguments, exits=2, CLIENTS_FILE="clients.toml")
    assert told in err


def test_docs_show_what_is_printed(home):
    text = (ROOT / "docs/commands.md").read_text()
    shown = text.partition("$ python -m pipeline clients try sample.json\n")[2].partition("```")[0]
    data = [
        {"id": 7, "status": "NEW", "title": "Pump", "createdAt": "2026-10-01", "crew": ["x"]},
        {"id": 8, "status": "LOST", "title": "Fan"},
    ]
    (home.home / "sample.json").write_text(json.dumps(data))
    assert home.shown(100, "clients", "try", "sample.json", exits=3) == shown
    keys = {key for one in json.loads(home.command("clients", "try", "sample.json", "--json", exits=3)) for key in one}
    assert keys == set(re.findall(r'"(\w+)"', text.partition("`clients try FILE --json` is")[2].partition("}")[0]))
