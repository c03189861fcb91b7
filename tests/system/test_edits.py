"""People edit both sides between runs."""

from datetime import UTC, datetime, timedelta

from pipeline.translation.times import format_time


def order(number, title, updated=None, **more):
    made = {"id": number, "status": "NEW", "title": title, "createdAt": "2026-10-01T08:00:00Z"}
    return made | ({"updatedAt": f"2026-10-{updated:02}T08:00:00Z"} if updated else {}) | more


def edit(plant, number, **values):
    plant.orders.update_one({"number": number}, {"$set": values | {"isSynced": False}})


def test_edits_of_different_fields_both_survive_and_nothing_echoes(plant):
    plant.put("1.json", order(1, "Pump", 2))
    plant.run()
    edit(plant, 1, description="ours", updatedAt="2026-10-03T08:00:00Z")
    plant.put("2.json", order(1, "Pump of line 3", 4))
    plant.run()
    document = plant.documents()[1]
    assert (document["title"], document["description"]) == ("Pump of line 3", "ours")
    assert plant.sent()["1.json"]["description"] == "ours"
    before = plant.state()
    out, _ = plant.run()
    assert plant.state() == before
    assert "nothing to do" in out


def test_what_the_client_shows_of_our_own_edit_does_not_come_back(plant):
    plant.orders.insert_one({"number": 5, "title": "Ours", "status": "pending", "createdAt": "2026-10-01"})
    plant.run()
    sent = plant.sent()["5.json"]
    assert (sent["title"], sent["status"]) == ("Ours", "PENDING")
    (plant.outbound / "5.json").unlink()
    plant.put("echo.json", sent | {"updatedAt": "2026-10-09T08:00:00Z"})
    out, _ = plant.run()
    assert "1 unchanged" in out
    assert "0 read   nothing to do" in out
    assert plant.sent() == {}


def test_a_stale_file_undoes_nothing(plant):
    plant.put("new.json", order(1, "New", 5))
    plant.run()
    plant.put("late.json", order(1, "Old", 3))
    before = plant.documents()
    out, _ = plant.run()
    assert "1 stale · 1 unchanged, not read again" in out
    assert plant.documents() == before
    log = (plant.home / "data/decisions.jsonl").read_bytes()
    plant.run()
    assert (plant.home / "data/decisions.jsonl").read_bytes() == log


def test_the_same_field_on_both_sides_the_newer_wins_and_the_other_is_logged_but_not_in_the_log(plant):
    plant.put("1.json", order(1, "Pump", 2))
    plant.run()
    edit(plant, 1, title="SECRET OURS", updatedAt=datetime(2026, 10, 3, tzinfo=UTC))
    plant.put("2.json", order(1, "SECRET THEIRS", 4))
    _, err = plant.run(LOG_LEVEL="DEBUG")
    assert plant.documents()[1]["title"] == "SECRET THEIRS"
    assert "order 1: title of TracOS gave way: the client's edit is newer" in err
    assert "SECRET" not in err
    assert "SECRET OURS" in (plant.home / "data/decisions.jsonl").read_text()


def test_an_order_goes_back_in_the_layout_it_came_in(plant):
    plant.put("f.json", {"orderNo": "77", "isActive": True, "summary": "Belt", "creationDate": "2026-10-01"})
    plant.orders.insert_one({"number": 78, "status": "created", "createdAt": datetime(2026, 10, 1, tzinfo=UTC)})
    plant.run(CLIENT_LAYOUT="flag_order")
    edit(plant, "77", status="completed")
    plant.run()
    sent = plant.sent()
    assert sent["77.json"] == {
        "orderNo": "77",
        "isActive": False,
        "isCanceled": False,
        "isDeleted": False,
        "isDone": True,
        "isOnHold": False,
        "isPending": False,
        "summary": "Belt",
        "creationDate": "2026-10-01T00:00:00.000Z",
        "lastUpdateDate": "2026-10-01T00:00:00.000Z",
    }
    assert sent["78.json"]["orderNo"] == 78


def test_deletions_cross_and_stay(plant):
    plant.put("1.json", order(1, "Pump", 2))
    plant.put("2.json", order(2, "Valve", 2))
    plant.run()
    edit(plant, 1, deleted=True, deletedAt="2026-10-05T08:00:00Z")
    plant.put("2-gone.json", order(2, "Valve", 2, deletedAt="2026-10-06T08:00:00Z"))
    plant.put("2-old.json", order(2, "Older", 4))
    plant.run()
    documents = plant.documents()
    assert plant.sent()["1.json"]["deletedAt"] == "2026-10-05T08:00:00.000Z"
    assert (documents[2]["deleted"], documents[2]["deletedAt"], documents[2]["title"]) == (
        True,
        "2026-10-06T08:00:00.000Z",
        "Valve",
    )


def test_more_deletions_than_allowed_stop_the_run(plant):
    for number in range(3):
        plant.put(f"{number}.json", order(number, "Pump", 2))
    plant.run()
    for number in range(3):
        plant.put(f"{number}.json", order(number, "Pump", 3, deletedAt="2026-10-06T08:00:00Z"))
    _, err = plant.run(SYNC_MAX_DELETES=2, exits=5)
    assert "SYNC_MAX_DELETES" in err
    assert plant.orders.count_documents({"deleted": True}) == 0
    plant.run(SYNC_MAX_DELETES=3)
    assert plant.orders.count_documents({"deleted": True}) == 3


def test_twins_are_named_and_nothing_is_changed(plant):
    plant.orders.insert_many([{"number": 10}, {"number": "10"}])
    plant.put("1.json", order(1, "Pump", 2))
    _, err = plant.run(exits=1)
    assert "several documents in TracOS have the same number: 10;" in err
    assert plant.orders.count_documents({}) == 2


def test_dates_far_ahead_are_taken_and_warned_of(plant):
    soon = format_time(datetime.now(UTC) + timedelta(days=3))
    plant.put("1.json", order(1, "Pump") | {"updatedAt": soon})
    _, err = plant.run()
    assert "order 1 in 1.json is dated more than a day ahead" in err
    assert plant.documents()[1]["updatedAt"] == soon
    _, err = plant.run()
    assert err == ""


def test_the_client_s_zone_counts_for_dates_without_one(plant):
    plant.put("1.json", order(1, "Pump") | {"createdAt": "2026-10-01T00:00:00"})
    plant.run(CLIENT_TIMEZONE="America/Sao_Paulo")
    assert plant.documents()[1]["createdAt"] == "2026-10-01T03:00:00.000Z"


def test_files_are_archived_with_their_last_record_and_what_could_not_be_read_stays(plant):
    import msgspec

    lines = [order(number, "Pump") for number in range(3000)]
    plant.put("many.ndjson", msgspec.json.Encoder().encode_lines(lines))
    plant.put("array.json", [order(number, "Valve") for number in range(3000, 4200)])
    for number in range(5000, 5600):
        plant.put(f"{number}.json", order(number, "Press"))
    plant.put("bad.json", b"{")
    (plant.inbound / "folder.json").mkdir()
    out, _ = plant.run(INBOUND_AFTER="archive")
    assert "4,800 created · 2 dead-lettered" in out
    assert sorted(path.name for path in plant.inbound.iterdir()) == ["archive", "bad.json", "folder.json"]
    assert len(list((plant.inbound / "archive").iterdir())) == 602
    out, _ = plant.run(INBOUND_AFTER="archive")
    assert "2 read   2 still dead" in out
    plant.put("bad.json", order(5600, "Mended"))
    assert "1 created · 1 still dead" in plant.run(INBOUND_AFTER="archive")[0]
    assert sorted(path.name for path in plant.inbound.iterdir()) == ["archive", "folder.json"]


def test_a_document_that_was_removed_is_inserted_again_by_a_kept_file(plant):
    plant.put("1.json", order(1, "Pump", 2))
    plant.put("2.json", order(2, "Valve", 2))
    plant.run()
    assert "0 read   2 unchanged, not read again" in plant.run()[0]
    plant.orders.delete_one({"number": 1})
    assert "1 read   1 created · 1 unchanged, not read again" in plant.run()[0]
    assert "0 read   2 unchanged, not read again" in plant.run()[0]
    plant.orders.database.client.drop_database(plant.orders.database.name)
    assert "2 read   2 created" in plant.run()[0]
    assert set(plant.documents()) == {1, 2}


def test_another_database_has_every_file_read(plant):
    plant.put("1.json", order(1, "Pump", 2))
    plant.run()
    assert "1 created" in plant.run(MONGO_COLLECTION="others")[0]
    assert plant.orders.database["others"].count_documents({}) == 1


def test_another_zone_has_every_file_read_because_dates_mean_something_else(plant):
    plant.put("1.json", order(1, "Pump") | {"updatedAt": "2026-10-02T08:00:00"})
    plant.run()
    assert "0 read   1 unchanged, not read again" in plant.run()[0]
    assert "1 read   1 unchanged" in plant.run(CLIENT_TIMEZONE="America/Sao_Paulo")[0]


def test_deleting_the_index_has_every_file_read(plant):
    plant.put("1.json", order(1, "Pump", 2))
    plant.run()
    (plant.home / "data/state/erp_json.files").unlink()
    before = plant.documents()
    assert "1 read   1 unchanged" in plant.run()[0]
    assert plant.documents() == before
