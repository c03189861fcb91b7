"""Whole runs over files as other systems, spreadsheets and people make them: nothing is lost, nothing is guessed."""

import gzip
import os

import pytest

from tests.plant import Plant

CSV = '[clients.erp]\nkind = "csv_folder"\ninbound_dir = "data/inbound"\noutbound_dir = "data/outbound"\n'
HEAD = b"id,status,createdAt,title\r\n"
GOOD = b'{"id": %d, "status": "NEW", "createdAt": "2026-10-01T08:00:00Z"}'


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def titles(plant):
    return {number: document.get("title") for number, document in plant.documents().items()}


def reasons(plant):
    return {str(place): "; ".join(map(str, letter.reasons)) for place, letter in plant.letters().items()}


@pytest.fixture
def csv(plant):
    """A plant whose client writes CSV and has its files deleted once they are done."""
    (plant.home / "clients.toml").write_text(CSV + 'inbound_after = "delete"\n')
    plant.environ["CLIENTS_FILE"] = "clients.toml"
    return plant


def test_csv_files_that_were_read_as_nothing_or_wrongly(csv: Plant):
    files = {
        "cr-only.csv": HEAD.replace(b"\r\n", b"\r") + b"1,NEW,2026-10-01,a\r2,NEW,2026-10-01,b\r",
        "UPPER.CSV": HEAD + b"3,NEW,2026-10-01,a\r\n",
        "ragged.csv": HEAD + b"4,NEW,2026-10-01\r\n5,NEW,2026-10-01,b,,\r\n,,,\r\n",
        "padded.csv": b"sep=,\r\n" + HEAD.replace(b"\r", b",,\r") + b"6,NEW,2026-10-01,c,,\r\n",
        "dressed.csv": b'ID,Status,"createdAt\n",title\r\n7,NEW,2026-10-01,d\r\n',
        "long.csv": HEAD + b'8,NEW,2026-10-01,"' + b"line\n" * 300 + b'"\r\n9,NEW,2026-10-01,e\r\n',
        "excel.csv": HEAD + b'="000123",NEW,2026-10-01,f\r\n\'000124,NEW,2026-10-01,g\r\n',
        "mark.csv": b"\xef\xbb\xbf" + HEAD + "10,NEW,2026-10-01,Müller\r\n".encode(),
        "head-only.csv": HEAD,
    }
    for name, data in files.items():
        csv.put(name, data)
    out = csv.command("run")
    assert csv.letters() == {}
    assert titles(csv).keys() == {*range(1, 11), "000123", "000124"}
    assert titles(csv)[10] == "Müller"
    assert titles(csv)[8].count("\n") == 300
    assert "12 created" in out
    assert names(csv.inbound) == []


def test_what_is_not_understood_is_one_letter_a_file_and_stays(csv: Plant):
    files = {
        "no-head.csv": b"1001,NEW,2026-10-01,Pump A\r\n1002,NEW,2026-10-01,Pump B\r\n",
        "one-order.csv": b"1001,NEW,2026-10-01,Pump A\r\n",
        "semicolons.csv": HEAD.replace(b",", b";") + b"1;NEW;2026-10-01;a\r\n",
        "nul.csv": b"\0" * 4096,
        "wide.csv": (HEAD + b"1,NEW,2026-10-01,a\r\n").decode().encode("utf-16"),
        "twice.csv": HEAD.replace(b"title", b"title,title") + b"1,NEW,2026-10-01,a,b\r\n" * 3,
        "empty.csv": b"",
    }
    for name, data in files.items():
        csv.put(name, data)
    csv.command("run")
    assert csv.documents() == {}
    found = reasons(csv)
    assert found.keys() == files.keys()
    assert {str(place): letter.raw for place, letter in csv.letters().items()} == files
    assert "names no column that is known" in found["one-order.csv"]
    assert "see delimiter" in found["semicolons.csv"]
    assert "UTF-16" in found["wide.csv"]
    assert names(csv.inbound) == sorted(files)
    before = csv.state()
    csv.command("run")
    assert csv.state() == before


def test_ids_that_a_spreadsheet_has_damaged_make_no_order(csv: Plant):
    ids = ["4.00012E+11", "4.00012E+11", "1E+05", "#N/A", "#N/A", "NULL", "1.001", "\xa01001", " 1001 ", "1001"]
    rows = "".join(f'"{number}",NEW,2026-10-{day:02},t{day}\r\n' for day, number in enumerate(ids, 1))
    csv.put("orders.csv", HEAD + rows.encode())
    csv.command("run")
    assert titles(csv) == {1001: "t10"}
    assert set(reasons(csv)) == {f"orders.csv:{line}" for line in range(2, 10)}
    assert all(letter.id is None for letter in csv.letters().values())


def test_csv_goes_out_in_the_client_s_zone_and_comes_back_as_a_repeat(plant):
    options = (
        'timezone = "America/Sao_Paulo"\ndate_format = "%d.%m.%Y %H:%M:%S"\ndelimiter = ";"\nencoding = "cp1252"\n'
    )
    (plant.home / "clients.toml").write_text(CSV + options)
    plant.environ["CLIENTS_FILE"] = "clients.toml"
    made = "2026-10-01T08:30:00.000Z"
    plant.orders.insert_one({"number": 1, "status": "created", "title": "Späne", "createdAt": made, "updatedAt": made})
    plant.orders.insert_one({"number": 2, "status": "created", "title": "→", "createdAt": made})
    plant.command("run")
    (name,) = names(plant.outbound)
    told = (plant.outbound / name).read_bytes()
    assert told.splitlines()[1] == "1;NEW;01.10.2026 05:30:00;01.10.2026 05:30:00;Späne;;".encode("cp1252")
    assert [letter.id for letter in plant.letters().values()] == [2]
    before = plant.documents()[1]
    plant.put("back.csv", told)
    out = plant.command("run")
    after = plant.documents()[1]
    assert "1 unchanged" in out
    assert {key: after[key] for key in before if key not in ("sync", "syncedAt")} == {
        key: before[key] for key in before if key not in ("sync", "syncedAt")
    }


def test_dates_that_nobody_means_delete_nothing_and_freeze_nothing(plant):
    live = b"\n".join(GOOD % number for number in range(1, 8))
    plant.put("a.ndjson", live)
    nobody = ["0001-01-01T00:00:00Z", "9999-12-31T00:00:00", "1900-01-01T00:00:00Z", "", "NULL", "1970-01-01T00:00:00Z"]
    lines = [
        b'{"id": %d, "status": "NEW", "createdAt": "2026-10-01T08:00:00Z", "updatedAt": "2026-10-02T08:00:00Z", '
        b'"deletedAt": "%s", "title": false}' % (number, date.encode())
        for number, date in enumerate(nobody, 1)
    ]
    plant.put("b.ndjson", b"\n".join(lines))
    for zone in ("Asia/Tokyo", "America/Sao_Paulo"):
        plant.command("run", CLIENT_TIMEZONE=zone)
    assert plant.letters() == {}
    assert {(one["deleted"], one.get("deletedAt")) for one in plant.documents().values()} == {(False, None)}
    far = b'{"id": 7, "status": "NEW", "title": "%s", "createdAt": "2026-10-01T08:00:00Z", "updatedAt": "%s"}'
    plant.put("c.json", far % (b"first", b"9999-12-31T23:59:59Z"))
    plant.put("d.json", far % (b"edited at the ERP", b"2026-10-05T08:00:00Z"))
    plant.command("run")
    assert titles(plant)[7] == "edited at the ERP"
    plant.put("e.json", GOOD.replace(b"}", b', "deletedAt": "1999-01-01"}') % 1)
    plant.command("run")
    assert "before the order was created" in reasons(plant)["e.json"]
    assert plant.documents()[1]["deleted"] is False


def test_json_files_of_any_ending_line_end_and_mark(plant):
    plant.put("ORDER1.JSON", GOOD % 1)
    plant.put("orders.Ndjson", GOOD % 2 + b"\r" + GOOD % 3)
    plant.put("mark.json", b"\xef\xbb\xbf" + GOOD % 4)
    plant.put("list.json", b"[]")
    plant.put(os.fsdecode(b"caf\xe9.json"), GOOD % 5)
    plant.put("notes.txt", b"not ours")
    plant.put("wrapped.json", b'{"items": [%s], "total": 1}' % GOOD % 9)
    out, err = plant.run(INBOUND_AFTER="delete")
    assert set(plant.documents()) == {1, 2, 3, 4, 5}
    assert "5 created" in out
    assert "$.items" in reasons(plant)["wrapped.json"]
    assert names(plant.inbound) == ["notes.txt", "wrapped.json"]
    assert err.count("1 that nobody reads: 1 .txt; read are .json, .ndjson, .jsonl, plain or .gz") == 1
    assert "1 that nobody reads: 1 .txt" in plant.command("doctor")


def test_a_damaged_gzip_costs_what_is_behind_the_damage_and_the_next_run_is_idle(csv: Plant):
    rows = b"".join(b"%d,NEW,2026-10-01,%s\r\n" % (number, os.urandom(40).hex().encode()) for number in range(4_000))
    csv.put("orders.csv.gz", gzip.compress(HEAD + rows)[:-60_000])
    csv.command("run")
    (place,) = csv.letters()
    assert place == f"orders.csv.gz:{len(csv.documents()) + 2}"
    before = csv.state()
    csv.command("run")
    assert csv.state() == before
