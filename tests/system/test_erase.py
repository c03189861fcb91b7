"""Nothing is left of an erased order in logs, letters, archives and state, in whatever form; all is left of others."""

import base64
import contextlib
import gzip
import json
import os
import socket
import sqlite3
from datetime import UTC, datetime

import msgspec
import pytest

from pipeline.deadletters import DeadLetterOffice
from pipeline.history.decisions import ERASED, read_decisions
from pipeline.orders.workorder import Status
from pipeline.testing import FakeErp

SECRET, OTHER = 'Zürich "pump" №7', 'Genève "valve" №8'
CLIENT = """\
[clients.north]
kind = "rest_json"
url = "{url}"
items = "items"
ids = "client"
etag = "_etag"
since_param = "updated_since"
layout = "own"
number = "C-{{id}}"
[layouts.own]
id = "id"
reference = "externalRef"
created_at = "createdAt"
updated_at = "updatedAt"
title = "title"
[layouts.own.status]
at = "status"
"""
OLD = datetime(2026, 9, 15, tzinfo=UTC).timestamp()


def order(number, minute, title, **more):
    at = f"2026-10-01T10:{minute:02}:00Z"
    return {"id": number, "status": "NEW", "title": title, "createdAt": at, "updatedAt": at} | more


def forms(text):
    """How a text may stand in a file: plain, escaped as JSON does, once and again, in base64 at any offset."""
    plain = text.encode()
    for ascii_alone in (True, False):
        once = json.dumps(text, ensure_ascii=ascii_alone)[1:-1]
        yield once.encode()
        yield json.dumps(once, ensure_ascii=ascii_alone)[1:-1].encode()
    yield plain
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + plain)[4:-4]


def found(home, text, *, but=("inbound", "outbound")):
    """The files in which the text stands in any form; what is gzipped is looked into."""
    where = []
    for path in sorted(home.rglob("*")):
        if path.is_file() and path.parent.name not in but:
            body = path.read_bytes()
            body += gzip.decompress(body) if path.suffix == ".gz" else b""
            if any(form in body for form in forms(text)):
                where.append(str(path.relative_to(home)))
    return where


def discard(plant, locator, because):
    letters = json.loads(plant.command("dead-letters", "list", "--json"))
    (letter,) = (one["id"] for one in letters if one["locator"] == locator)
    plant.command("dead-letters", "discard", letter, "--because", because)


@pytest.fixture
def full(plant):
    """Two orders of which everything is kept that can be; one of them is 7."""
    archive = {"INBOUND_AFTER": "archive"}
    for number, text in ((7, SECRET), (8, OTHER)):
        plant.put(f"{number}a.json", order(number, 1, text))
    plant.put("both.json", [order(7, 2, SECRET + " again"), order(8, 2, OTHER + " again")])
    both = b"".join(msgspec.json.encode(order(number, 3, text)) + b"\n" for number, text in ((7, SECRET), (8, OTHER)))
    plant.put("lines.ndjson.gz", gzip.compress(both))
    plant.command("run", **archive)
    for number, text in ((7, SECRET), (8, OTHER)):
        plant.orders.update_one({"number": number}, {"$set": {"title": f"ours, {text}", "isSynced": False}})
        plant.put(f"{number}b.json", order(number, 9, f"theirs, {text}"))
    plant.command("run", **archive)
    os.utime(plant.home / "data/decisions.jsonl", (OLD, OLD))
    for number, text in ((7, SECRET), (8, OTHER)):
        plant.put(f"{number}-discarded.json", order(number, 10, text, status="LOST"))
        plant.put(f"{number}-resolved.json", order(number, 10, text, status="LOST"))
    plant.command("run", **archive)
    for number, text in ((7, SECRET), (8, OTHER)):
        discard(plant, f"{number}-discarded.json", f"about {text}")
        plant.put(f"{number}-resolved.json", order(number, 11, text))
    plant.command("run", **archive)
    for flow in ("resolved", "discarded"):
        os.utime(plant.home / f"data/dead-letter/erp_json.inbound/{flow}.jsonl", (OLD, OLD))
    for number, text in ((7, SECRET), (8, OTHER)):
        plant.put(f"{number}-open.json", order(number, 12, text, status="LOST"))
        raw = json.dumps(order(number, 13, text), ensure_ascii=False).encode().replace(b"NEW", b"\xff")
        plant.put(f"{number}-bytes.json", raw)
        plant.put(f"{number}-cut.json", b"[" + json.dumps(order(number, 14, text)).encode())
        plant.orders.update_one({"number": number}, {"$set": {"status": f"strange {text}", "isSynced": False}})
    plant.command("run", **archive)
    with (plant.home / "data/decisions.jsonl").open("ab") as log:
        log.write(b'{"at":"2026-10-01T00:00:00Z","client":"erp_json","number":7,"changes":[{"old":"' + SECRET.encode())
    return plant


def test_nothing_is_left_in_any_form_and_nothing_is_gone_of_another_order(full):
    before = found(full.home, SECRET)
    assert {path.split("/")[1] for path in before} == {
        "inbound",
        "dead-letter",
        "decisions.jsonl",
        "decisions-2026-09.jsonl",
    }
    kept = found(full.home, OTHER)
    log = [entry for entry in read_decisions(full.home / "data/decisions.jsonl") if entry.number == 8]
    told = full.command("erase", "7", "--because", "they asked", INBOUND_AFTER="archive", USER="ada")
    assert found(full.home, SECRET) == []
    assert found(full.home, OTHER) == kept
    entries = list(read_decisions(full.home / "data/decisions.jsonl"))
    assert [entry for entry in entries if entry.number == 8] == log
    (note,) = [entry for entry in entries if entry.number == 7]
    by = f"ada@{socket.gethostname()}"
    assert (note.rule, note.because, note.by, note.changes, note.lost) == (ERASED, "they asked", by, (), ())
    assert f"erased: all that was kept of it was removed, by {by}: they asked\n" in full.command("explain", "7")
    assert told.startswith("order 7 of erp_json: removed ")
    assert "4 open letters, 2 closed ones, 9 records kept elsewhere; noted in data/decisions.jsonl" in told
    archive = full.inbound / "archive"
    assert msgspec.json.decode((archive / "both.json").read_bytes()) == [order(8, 2, OTHER + " again")]
    assert (
        gzip.decompress((archive / "lines.ndjson.gz").read_bytes()) == msgspec.json.encode(order(8, 3, OTHER)) + b"\n"
    )


def test_done_again_it_finds_nothing_and_other_clients_orders_of_that_number_stay(full):
    full.command("erase", "7", "--because", "they asked", INBOUND_AFTER="archive")
    before, _ = full.state()
    again = full.command("erase", "7", "--because", "they asked", INBOUND_AFTER="archive")
    assert "removed 0 lines of the decision log, 0 open letters, 0 closed ones, 0 records" in again
    after, _ = full.state()
    assert {path for path in after if after[path] != before.get(path)} == {str(full.home / "data/decisions.jsonl")}
    client = '[clients.{}]\nkind = "erp_json"\ncollection = "{}"\ninbound_dir = "{}/in"\noutbound_dir = "{}/out"\n'
    (full.home / "clients.toml").write_text("".join(client.format(*[name] * 4) for name in ("north", "south")))
    files = {"CLIENTS_FILE": "clients.toml"}
    for name in ("north", "south"):
        (full.home / name / "in").mkdir(parents=True)
        (full.home / name / "in/bad.json").write_bytes(msgspec.json.encode(order(8, 1, f"of {name}", status="LOST")))
        (full.home / name / "in/good.json").write_bytes(msgspec.json.encode(order(8, 2, f"of {name}")))
    full.command("run", **files)
    code, _, err = full.ask("erase", "8", "--because", "x", **files)
    assert (code, "say --client north or south" in err) == (2, True)
    full.command("erase", "8", "--because", "x", "--client", "north", **files)
    assert found(full.home, "of north", but=("in", "out")) == []
    assert len(found(full.home, "of south", but=("in", "out"))) == 2


def test_a_client_with_ids_of_its_own_is_asked_for_nothing_and_state_holds_nothing(plant):
    with FakeErp() as erp:
        erp.put(order(1007, 1, "x", status="LOST") | {"externalRef": "WO-7"})
        erp.put(order(1008, 2, OTHER) | {"externalRef": "WO-8"})
        erp.put(order(8, 2, "another") | {"externalRef": "WO-9"})
        words = zip(("NEW", "PENDING", "WIP", "HOLD", "DONE", "OFF"), Status, strict=True)
        said = CLIENT.format(url=erp.url) + "".join(f'words.{word} = "{ours}"\n' for word, ours in words)
        (plant.home / "clients.toml").write_text(said)
        files = {"CLIENTS_FILE": "clients.toml"}
        plant.command("run", **files)
        before = len(erp.requests)
        assert "C-1008" in plant.command("explain", "1008", **files)
        plant.command("erase", "C-1008", "--because", "x", **files)
        assert found(plant.home, OTHER) == []
        assert remembered(plant) == {"1007", "8"}  # that 1007 was shown, and not taken
        assert len(found(plant.home, "another")) == 1
        assert len(list(DeadLetterOffice(plant.home / "data/dead-letter").find())) == 1
        plant.command("erase", "1007", "--because", "x", **files)
        assert len(list(DeadLetterOffice(plant.home / "data/dead-letter").find())) == 0
        assert len(erp.requests) == before


def remembered(plant):
    """The orders that state knows, by looking into every table, and into what SQLite has left between them."""
    path = plant.home / "data/state/north.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        ids = {row[0] for table in tables if table != "read_to" for row in database.execute(f"SELECT * FROM {table}")}
    return ids | {"1008"} if b"1008" in path.read_bytes() else ids


def test_what_cannot_be_done_is_told_and_changes_nothing(plant):
    plant.put("7.json", order(7, 1, SECRET, status="LOST"))
    plant.command("run")
    before = plant.state()
    assert plant.ask("erase", "7", "--because", " ")[0] == 2
    assert plant.ask("erase", "7")[0] == 2
    with DeadLetterOffice(plant.home / "data/dead-letter").taken("erp_json"):
        code, _, err = plant.ask("erase", "7", "--because", "x")
    assert (code, "another run is using the dead letters" in err, plant.state()) == (1, True, before)


def test_rows_of_files_put_away_go_and_their_head_stays(plant):
    said = '[clients.sheets]\nkind = "csv_folder"\ninbound_dir = "data/inbound"\noutbound_dir = "data/outbound"\n'
    (plant.home / "c.toml").write_text(said + 'inbound_after = "archive"\ndelimiter = ";"\n')
    head = "id;status;title;createdAt\r\n"
    rows = [f"{number};NEW;{text};2026-10-01\r\n" for number, text in ((7, "mine"), (8, "theirs"), (9, "last"))]
    plant.put("rows.csv", ("\ufeff" + head + "".join(rows)).encode())
    plant.put("one.csv", (head + rows[0]).encode())
    plant.command("run", CLIENTS_FILE="c.toml")
    archive = plant.inbound / "archive"
    assert len(list(archive.iterdir())) == 2
    for number in (7, 9):
        plant.command("erase", str(number), "--because", "x", CLIENTS_FILE="c.toml")
    assert [path.name for path in archive.iterdir()] == ["rows.csv"]
    assert (archive / "rows.csv").read_bytes() == ("\ufeff" + head + rows[1]).encode()
