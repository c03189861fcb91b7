"""Each row of the table of bad input: a dead letter that says what, where and why; all the rest goes through."""

import gzip
import os

GOOD = b'{"id": %d, "status": "NEW", "createdAt": "2026-10-01T08:00:00Z"}'

RECORDS = {
    "not-json.json": (b"hello", "not JSON: invalid character at byte 0"),
    "empty.json": (b"", "empty: expected a JSON object"),
    "truncated.json": (b'{"id": 1', "not JSON: input data was truncated"),
    "nan.json": (b'{"id": NaN}', "not JSON: invalid character at byte 7"),
    "latin1.json": (b'{"id": "\xe9"}', "not UTF-8"),
    "bom.json": (b"\xef\xbb\xbf{}", "no layout known by these keys"),
    "utf16.json": ('{"id": 1}'.encode("utf-16"), "this is UTF-16: save it as UTF-8"),
    "wrapped.json": (b'{"items": [%s]}' % GOOD % 1, "around orders, which are in $.items"),
    "nul.ndjson": (b"\0" * 999, "begins with NUL bytes"),
    "blank.ndjson": (b" \n\n", "empty: expected a JSON object a line"),
    "odd-id.json": (GOOD.replace(b"%d", b'"#N/A"'), "$.id: not an id: '#N/A'"),
    "deep.json": (b'{"a":' * 100_000, "nested too deep"),
    "number.json": (b"5", "not a JSON object"),
    "array-cut.json": (b"[" + GOOD % 1, "not JSON: input data was truncated"),
    "missing.json": (b'{"id": 1}', "$.status: required, but missing; $.createdAt: required, but missing"),
    "type.json": (GOOD.replace(b'"NEW"', b"7") % 1, "$.status: unknown status; known: NEW"),
    "status.json": (GOOD.replace(b"NEW", b"LOST") % 1, "$.status: unknown status; known: NEW"),
    "date.json": (GOOD.replace(b"2026-10-01T08", b"20261001T08") % 1, "$.createdAt: not a date"),
    "id-float.json": (b'{"id": 1.5, "status": "NEW", "createdAt": "2026-10-01"}', "$.id: not an id"),
    "id-huge.json": (GOOD % 10**40, "$.id: not an id"),
    "surrogate.json": (GOOD.replace(b'"NEW"', b'"NEW", "title": "\\ud800"') % 1, "surrogate pair"),
    "two-flags.json": (
        b'{"orderNo": 1, "creationDate": "2026-10-01", "isDone": true, "isActive": true}',
        "isActive and isDone are true",
    ),
    "no-flag.json": (b'{"orderNo": 1, "creationDate": "2026-10-01"}', "no flag is true"),
    "no-layout.json": (b'{"hello": "world"}', "no layout known by these keys"),
}


def test_whatever_the_client_sends_only_the_bad_records_die(plant):
    for number, (name, (data, _)) in enumerate(RECORDS.items()):
        plant.put(name, data)
        plant.put(f"good-{number}.json", GOOD % (1000 + number))
    plant.put("mixed.json", b"[%s, {}, 7, %s]" % (GOOD % 1, GOOD % 2))
    plant.put("mixed.ndjson", b"%s\n{broken\n%s\n" % (GOOD % 3, GOOD % 4))
    plant.put("cut.json.gz", gzip.compress(GOOD % 5)[:-9])
    (plant.inbound / "folder.json").mkdir()
    os.mkfifo(plant.inbound / "pipe.json")
    (plant.home / "outside.json").write_bytes(GOOD % 6)
    (plant.inbound / "link.json").symlink_to(plant.home / "outside.json")
    out, err = plant.run()
    letters = plant.letters()
    parts = {"mixed.json[1]", "mixed.json[2]", "mixed.ndjson:2"}
    places = {"cut.json.gz", "folder.json", "pipe.json", "link.json"}
    assert set(letters) == RECORDS.keys() | parts | places
    for name, (data, message) in RECORDS.items():
        assert letters[name].raw == data
        assert message in "; ".join(map(str, letters[name].reasons)), name
    told = [line.split()[4] for line in err.splitlines() if " dead letter: " in line and "more lines" not in line]
    assert len(told) == 20
    assert set(told) <= letters.keys()
    assert f"{len(letters) - 20} more lines of the same kind as: dead letter: {told[0]} failed at" in err
    assert all(letters[name].raw == b"" for name in places - {"cut.json.gz"})
    assert (letters["mixed.json[1]"].element, letters["mixed.ndjson:2"].line) == (1, 2)
    assert set(plant.documents()) == {1, 2, 3, 4, *range(1000, 1000 + len(RECORDS))}
    assert f"{len(letters)} dead-lettered" in out
    out, err = plant.run()
    assert f"{len(letters)} still dead" in out
    assert err == ""
    assert all(letter.attempts == 1 for letter in plant.letters().values())


def test_a_touched_file_is_tried_again_and_a_mended_one_resolves_its_letter(plant):
    path = plant.put("1.json", b'{"id": 1, "status": "LOST", "createdAt": "2026-10-01"}')
    plant.run()
    os.utime(path, (plant.clock + 50, plant.clock + 50))
    plant.run()
    (letter,) = plant.letters().values()
    assert (letter.attempts, letter.id) == (2, 1)
    plant.put("1.json", GOOD % 1)
    out, _ = plant.run()
    assert "1 created" in out
    assert plant.letters() == {}
    assert (plant.home / "data/dead-letter/erp_json.inbound/resolved.jsonl").exists()


def test_hostile_ids_and_names_stay_in_their_folders(plant):
    evil = ["../../etc/passwd", "/etc/passwd", "..", "a\nb", "x" * 500, "~", ".hidden"]
    for number, name in enumerate(evil):
        plant.orders.insert_one({"number": name, "status": "created", "createdAt": "2026-10-01"})
        plant.put(f"bad \x1b[31m\n{number}.json", b"{")
    _, err = plant.run()
    assert len(list(plant.outbound.iterdir())) == len(evil)
    assert {document["isSynced"] for document in plant.documents().values()} == {True}
    assert "\x1b" not in err
    assert len(err.splitlines()) == len(evil)
    assert {path.name for path in plant.home.iterdir()} == {"data"}


def test_documents_that_cannot_be_told_are_dead_letters_and_the_others_go_out(plant):
    plant.orders.insert_many(
        [
            {"number": 1, "status": "created", "createdAt": "2026-10-01"},
            {"number": 2, "status": "paused", "createdAt": "yesterday"},
            {"status": "created", "createdAt": "2026-10-01"},
            {"number": 4, "status": "created"},
            {
                "number": 5,
                "status": "created",
                "createdAt": "2026-10-01",
                "sync": {"client": "x", "id": 5, "layout": "y"},
            },
        ]
    )
    out, _ = plant.run()
    assert "5 read   1 sent · 4 dead-lettered" in out
    found = {letter.id: "; ".join(map(str, letter.reasons)) for letter in plant.letters().values()}
    assert "$.status: unknown status; known: created" in found[2]
    assert "$.createdAt: not a date" in found[2]
    assert found[None] == "$.number: missing"
    assert found[4] == "$.createdAt: missing, and this layout requires one"
    assert found[5] == "$.sync.client: belongs to the client 'x', not to 'erp_json'"
    out, _ = plant.run()
    assert "4 read   4 still dead" in out
    plant.orders.update_one({"number": 4}, {"$set": {"createdAt": "2026-10-02"}})
    plant.run()
    assert 4 not in {letter.id for letter in plant.letters().values()}


def test_the_letter_of_an_order_that_waits_no_more_is_resolved_and_the_others_stay(plant):
    bad = {"status": "paused", "createdAt": "2026-10-01", "isSynced": False}
    plant.orders.insert_many([{"number": 1, **bad}, {"number": 2, **bad}])
    plant.run()
    assert {letter.id for letter in plant.letters().values()} == {1, 2}
    plant.orders.update_one({"number": 1}, {"$set": {"status": "created", "isSynced": True}})
    plant.run()
    assert {letter.id for letter in plant.letters().values()} == {2}
    plant.orders.update_one({"number": 1}, {"$set": {"status": "paused", "isSynced": False}})
    plant.run()
    assert {letter.id for letter in plant.letters().values()} == {1, 2}


def test_a_dead_letter_folder_that_cannot_be_used_stops_the_run_before_anything_is_acked(plant):
    plant.put("1.json", b"{")
    (plant.home / "data" / "dead-letter").write_bytes(b"")
    _, err = plant.run(exits=1)
    assert "DATA_DEAD_LETTER_DIR" in err


def test_an_outbound_folder_that_cannot_be_used_leaves_orders_unsynced(plant):
    plant.orders.insert_one({"number": 1, "status": "created", "createdAt": "2026-10-01"})
    (plant.home / "data").mkdir()
    plant.outbound.write_bytes(b"")
    _, err = plant.run(exits=1)
    assert "DATA_OUTBOUND_DIR" in err
    assert "isSynced" not in plant.documents()[1]


def test_wrong_settings_are_told_all_at_once_and_nothing_is_started(plant):
    _, err = plant.run(exits=2, LOG_LEVEL="LOUD", SYNC_MAX_DELETES="many", CLIENT_TIMEZONE="Mars")
    assert [line.split("wrong settings: ")[1].partition(":")[0] for line in err.splitlines()] == [
        "CLIENT_TIMEZONE",
        "SYNC_MAX_DELETES",
        "LOG_LEVEL",
    ]
    assert not (plant.home / "data").exists()


def test_the_log_can_be_json(plant):
    import msgspec

    plant.put("1.json", b"{")
    _, err = plant.run(LOG_FORMAT="json")
    (line,) = err.splitlines()
    entry = msgspec.json.decode(line)
    keys = {"time", "level", "message", "event", "client", "flow", "run"}
    assert (entry["level"], set(entry)) == ("WARNING", keys)


def test_a_letter_stays_where_an_older_record_or_a_copy_of_one_is_read_again(plant):
    plant.put("1.json", GOOD % 1)
    plant.command("run")
    plant.put("2.json", GOOD.replace(b"NEW", b"LOST") % 1)
    plant.put("3.json", GOOD % 1)
    for _ in range(2):
        plant.command("run")
        assert set(plant.letters()) == {"2.json"}
        (plant.home / "data/state/erp_json.files").unlink()


def test_what_tracos_refused_is_tried_again_and_goes_through_once_its_document_is_mended(plant):
    order = {"id": 7, "status": "NEW", "createdAt": "2026-10-01"}
    plant.put("first.json", order)
    plant.run()
    plant.orders.update_one({"number": 7}, {"$set": {"status": "gone fishing"}})
    plant.put("second.json", order | {"status": "PENDING", "updatedAt": "2026-10-02"})
    _, err = plant.run()
    assert "second.json failed at deliver: the document in TracOS: $.status: unknown status" in err
    before = plant.state()
    code, out, err = plant.ask("run")
    assert (code, "2 still dead" in out, "dead letter: " in err) == (0, True, False)
    code, _, err = plant.ask("plan")
    assert (code, "nothing" in err) == (0, True), "a sentence beside the table, for a person"
    assert plant.state() == before
    plant.orders.update_one({"number": 7}, {"$set": {"status": "created"}})
    plant.command("run")
    assert plant.documents()[7]["status"] == "pending"
    assert plant.letters() == {}
