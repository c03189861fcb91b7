"""Client records into TracOS, on a real MongoDB."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from bson import Int64
from bson.datetime_ms import DatetimeMS

from pipeline.dataflow.messages import Fate, Outcome
from pipeline.dataflow.run import run
from pipeline.dataflow.stages import deliver, read, settle
from pipeline.errors import BudgetExceeded, Deferred, Rejected
from pipeline.history.decisions import read_decisions
from pipeline.orders.workorder import Status
from pipeline.testing import ListSource
from pipeline.tracos.connection import Connection
from pipeline.tracos.deletes import DeleteBudget
from tests.tracos.orders import TERMS, at, envelope, order, taken

CREATED, UPDATED, UNCHANGED = Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED
REPEAT, STALE = Outcome.REPEAT, Outcome.STALE


async def test_a_new_order_is_inserted_in_our_words_and_needs_no_echo(sink, orders):
    assert await taken(sink, [envelope(order(10, title="Pump", status=Status.PENDING))]) == [CREATED]
    document = await orders.find_one({"number": 10})
    assert document["title"] == "Pump"
    assert document["status"] == "pending"
    assert document["createdAt"] == "2026-10-01T08:00:00.000Z"
    assert document["deleted"] is False
    assert document["isSynced"] is True
    assert document["syncedAt"].endswith("Z")
    assert document["sync"]["client"] == "erp"
    assert document["sync"]["base"]["title"] == "Pump"
    assert "description" not in document


async def test_the_same_record_again_writes_nothing(sink, orders):
    await taken(sink, [envelope(order(10))])
    before = await orders.find_one({"number": 10})
    assert await taken(sink, [envelope(order(10))]) == [REPEAT]
    assert await orders.find_one({"number": 10}) == before


async def test_a_stale_record_writes_nothing_and_is_in_the_decision_log(sink, orders, decision_file):
    await taken(sink, [envelope(order(10, updated=at(9), title="new"), "b.json")])
    before = await orders.find_one({"number": 10})
    assert await taken(sink, [envelope(order(10, updated=at(8), title="old"), "a.json")]) == [STALE]
    assert await orders.find_one({"number": 10}) == before
    assert [(entry.number, entry.rule) for entry in read_decisions(decision_file)] == [(10, "insert"), (10, "stale")]


async def test_an_update_sets_only_what_changed_and_leaves_unknown_fields_alone(sink, orders):
    await taken(sink, [envelope(order(10, updated=at(8)))])
    await orders.update_one({"number": 10}, {"$set": {"assignee": "Ana", "priority": {"level": 3}}})
    assert await taken(sink, [envelope(order(10, updated=at(9), title="Valve"))]) == [UPDATED]
    document = await orders.find_one({"number": 10})
    assert (document["title"], document["assignee"], document["priority"]) == ("Valve", "Ana", {"level": 3})
    assert document["updatedAt"] == "2026-10-09T08:00:00.000Z"


async def test_both_sides_edits_survive(sink, orders):
    await taken(sink, [envelope(order(10, updated=at(8)))])
    await orders.update_one({"number": 10}, {"$set": {"description": "ours", "isSynced": False}})
    assert await taken(sink, [envelope(order(10, updated=at(9), title="theirs"))]) == [UPDATED]
    document = await orders.find_one({"number": 10})
    assert (document["title"], document["description"], document["isSynced"]) == ("theirs", "ours", False)


async def test_a_lost_value_is_in_the_decision_log_before_it_is_overwritten(sink, orders, decision_file, monkeypatch):
    await taken(sink, [envelope(order(10, updated=at(8)))])
    await orders.update_one({"number": 10}, {"$set": {"title": "ours", "updatedAt": "2026-10-08T09:00:00Z"}})
    write, told = Connection.write, []

    async def watched(self, operations):
        told.extend(lost.value for entry in read_decisions(decision_file) for lost in entry.lost)
        return await write(self, operations)

    monkeypatch.setattr(Connection, "write", watched)
    await taken(sink, [envelope(order(10, updated=at(9), title="theirs"))])
    assert told == ["ours"], "whoever is killed after the write has told of it"
    assert (await orders.find_one({"number": 10}))["title"] == "theirs"
    _, entry = read_decisions(decision_file)
    assert [(change.field, change.old, change.new) for change in entry.changes] == [("title", "ours", "theirs")]
    assert [(lost.field, lost.value, lost.side) for lost in entry.lost] == [("title", "ours", "tracos")]


async def test_a_client_that_shows_its_old_text_whatever_it_is_told_is_named_once(tracos, sink, orders, log):
    await taken(sink, [envelope(order(10, updated=at(8), title="Pump"))])
    change = {"title": "Pump leaks", "updatedAt": "2026-10-08T09:00:00Z", "isSynced": False}
    await orders.update_one({"number": 10}, {"$set": change})
    for day in (9, 10, 11):
        source = tracos.source(TERMS)
        for item in [item async for group in source.read() for item in group]:
            await source.settle({item.locator: Fate.DELIVERED})
        await taken(sink, [envelope(order(10, updated=at(day), title="Pump"), f"{day}.json")])
    document = await orders.find_one({"number": 10})
    assert (document["title"], document["isSynced"]) == ("Pump leaks", True)
    (line,) = [line for line in log if line.startswith("WARNING")]
    assert line.startswith("WARNING order 10: the client was told of another title twice and still shows its own old")


async def test_a_document_keeps_its_kind_of_date(sink, orders):
    made = datetime(2026, 10, 1, tzinfo=UTC)
    await orders.insert_one({"number": 10, "status": "created", "createdAt": made, "updatedAt": made})
    assert await taken(sink, [envelope(order(10, updated=at(9), title="x"))]) == [UPDATED]
    document = await orders.find_one({"number": 10})
    assert document["updatedAt"] == at(9)
    assert isinstance(document["syncedAt"], datetime)


async def test_a_document_with_hardly_any_field_is_merged(sink, orders):
    await orders.insert_one({"number": 10})
    assert await taken(sink, [envelope(order(10, title="Pump"))]) == [UPDATED]
    document = await orders.find_one({"number": 10})
    assert (document["title"], document["status"], document["isSynced"]) == ("Pump", "created", True)


@pytest.mark.parametrize(("stored", "shown"), [("10", 10), (10, "10"), (Int64(10), 10), (10.0, 10)])
async def test_a_decimal_text_and_its_integer_are_the_same_order(sink, orders, stored, shown):
    await orders.insert_one({"number": stored, "status": "created"})
    assert await taken(sink, [envelope(order(shown, title="x"))]) == [UPDATED]
    document = await orders.find_one({})
    assert (document["number"], type(document["number"])) == (stored, type(stored))
    assert document["sync"]["id"] == shown
    assert await orders.count_documents({}) == 1


async def test_one_order_twice_in_a_batch_is_merged_in_order_and_written_once(sink, orders):
    batch = [
        envelope(order(10, updated=at(8), title="first"), "a.json"),
        envelope(order(11), "b.json"),
        envelope(order(10, updated=at(9), title="second"), "c.json"),
        envelope(order(10, updated=at(7), title="late"), "d.json"),
    ]
    assert await taken(sink, batch) == [CREATED, CREATED, UPDATED, STALE]
    document = await orders.find_one({"number": 10})
    assert (document["title"], document["isSynced"]) == ("second", True)
    assert await taken(sink, batch) == [REPEAT, REPEAT, REPEAT, STALE]


async def test_an_edit_made_between_reading_and_writing_is_never_overwritten(sink, orders, monkeypatch):
    await taken(sink, [envelope(order(10, updated=at(8)))])
    meddle = meddler(sink, monkeypatch, times=1, edit=lambda: orders.update_one({}, {"$set": {"description": "ours"}}))
    assert await taken(sink, [envelope(order(10, updated=at(9), title="theirs"))]) == [UPDATED]
    document = await orders.find_one({"number": 10})
    assert (document["title"], document["description"], meddle.done) == ("theirs", "ours", 1)
    assert document["isSynced"] is False


async def test_after_five_misses_an_order_is_left_for_the_next_run(sink, orders, monkeypatch):
    await taken(sink, [envelope(order(10, updated=at(8)))])
    meddler(sink, monkeypatch, times=99, edit=lambda: orders.update_one({}, {"$inc": {"sync.rev": 1}}))
    batch = [envelope(order(10, updated=at(9), title="theirs")), envelope(order(11), "b.json")]
    results = await taken(sink, batch)
    assert isinstance(results[0], Deferred)
    assert results[1] is CREATED


async def test_somebody_who_inserts_the_same_number_first_is_merged_with(sink, orders, monkeypatch):
    meddler(sink, monkeypatch, times=1, edit=lambda: orders.insert_one({"number": 10, "description": "ours"}))
    assert await taken(sink, [envelope(order(10, title="theirs"))]) == [UPDATED]
    document = await orders.find_one({"number": 10})
    assert (document["title"], document["description"]) == ("theirs", "ours")


async def test_one_refused_document_does_not_hold_up_the_others(sink, orders, database):
    await database.command("collMod", orders.name, validator={"title": {"$ne": "forbidden"}})
    batch = [envelope(order(1), "1"), envelope(order(2, title="forbidden"), "2"), envelope(order(3), "3")]
    results = await taken(sink, batch)
    assert [results[0], results[2]] == [CREATED, CREATED]
    assert isinstance(results[1], Rejected)
    assert "code 121" in str(results[1])


@pytest.mark.parametrize("poison", [order(2**70), order(2, title="\ud800"), order(2, title="x" * 17_000_000)])
async def test_one_poisoned_record_does_not_hold_up_the_others(sink, orders, poison):
    batch = [envelope(order(1), "1"), envelope(poison, "2"), envelope(order(3), "3")]
    results = await taken(sink, batch)
    assert [results[0], results[2]] == [CREATED, CREATED]
    assert isinstance(results[1], Rejected)
    assert await orders.count_documents({}) == 2


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("status", "paused", "$.status"),
        ("updatedAt", "yesterday", "$.updatedAt"),
        ("createdAt", DatetimeMS(2**60), "$.createdAt"),
        ("title", 7, "$.title"),
        ("deleted", "no", "$.deleted"),
        ("sync", {"client": "erp"}, "$.sync"),
        ("sync", {"client": "other", "id": 10, "layout": "plain"}, "$.sync.client"),
        ("sync", {"client": "erp", "id": 11, "layout": "plain"}, "$.sync.id"),
    ],
)
async def test_a_document_that_cannot_be_understood_makes_its_record_a_dead_letter(sink, orders, field, value, path):
    await orders.insert_one({"number": 10, field: value})
    before = await orders.find_one({})
    (result,) = await taken(sink, [envelope(order(10))])
    assert isinstance(result, Rejected)
    assert path in str(result)
    assert await orders.find_one({}) == before


async def test_more_deletions_than_allowed_stop_the_run_before_any_is_written(make_tracos, orders):
    async with make_tracos(deletes=DeleteBudget(2)) as tracos:
        sink = tracos.sink(TERMS)
        await taken(sink, [envelope(order(n, updated=at(8)), str(n)) for n in range(4)])
        gone = [envelope(order(n, updated=at(9), deleted=True, deleted_at=at(9)), str(n)) for n in range(4)]
        assert await taken(sink, gone[:2]) == [UPDATED, UPDATED]
        with pytest.raises(BudgetExceeded, match="SYNC_MAX_DELETES"):
            await taken(sink, gone[2:])
    assert await orders.count_documents({"deleted": True}) == 2


async def test_a_cancelled_write_leaves_the_connection_usable(sink):
    task = asyncio.create_task(taken(sink, [envelope(order(n), str(n)) for n in range(500)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    results = await taken(sink, [envelope(order(n), str(n)) for n in range(500)])
    assert set(results) <= {CREATED, REPEAT}


class meddler:  # noqa: N801 - reads like a function where it is used
    """Edits the collection between the sink's look-up and its write, a number of times."""

    def __init__(self, sink, monkeypatch, *, times, edit):
        self.done = 0
        connection = sink._connection
        write = connection.write

        async def meddled(operations):
            if self.done < times:
                self.done += 1
                await edit()
            return await write(operations)

        monkeypatch.setattr(connection, "write", meddled)


async def test_a_batch_costs_one_look_up_one_insert_and_one_update_whatever_it_holds(sink, database):
    async def commands():
        totals = (await database.command("serverStatus"))["metrics"]["commands"]
        return [totals[name]["total"] for name in ("find", "getMore", "insert", "update")]

    await taken(sink, [envelope(order(number, updated=at(8)), str(number)) for number in range(500)])
    changed = [order(number, updated=at(9), title="new") for number in range(0, 500, 2)]
    unchanged = [order(number, updated=at(8)) for number in range(1, 500, 2)]
    fresh = [order(number) for number in range(1000, 1100)]
    before = await commands()
    results = await taken(sink, [envelope(o, str(o.external_id)) for o in [*changed, *unchanged, *fresh]])
    spent = [after - total for after, total in zip(await commands(), before, strict=True)]
    assert [results.count(outcome) for outcome in (UPDATED, REPEAT, CREATED)] == [250, 250, 100]
    assert spent == [1, 0, 1, 1]


async def test_records_of_one_order_keep_their_order_though_batches_overlap(sink, orders, decision_file):
    """Without update times the last one wins: an earlier one that came later would show."""
    records = [envelope(order(10 + n % 3, title=f"edition {n}"), f"{n:03}.json") for n in range(60)]
    source = ListSource(records, group=4)
    report = await run(read(source, flow="f") | deliver(sink) | settle(source))
    assert report.outcomes.total() == 60
    assert {document["number"]: document["title"] async for document in orders.find()} == {
        10: "edition 57",
        11: "edition 58",
        12: "edition 59",
    }
    told = [(entry.number, entry.locator) for entry in read_decisions(decision_file)]
    for number in (10, 11, 12):
        locators = [locator for other, locator in told if other == number]
        assert locators == sorted(locators)
        assert len(locators) == 20


@pytest.mark.parametrize("values", [{"updated": "ahead"}, {"deleted": True, "deleted_at": "ahead"}])
async def test_a_time_more_than_a_year_ahead_is_no_version_and_no_deletion(sink, orders, values):
    """As a version it would keep out every edit until then."""
    ahead = datetime.now(UTC) + timedelta(days=400)
    values = {name: ahead if value == "ahead" else value for name, value in values.items()}
    await taken(sink, [envelope(order(10, updated=at(8)))])
    (result,) = await taken(sink, [envelope(order(10, **values), "b.json")])
    assert "dated more than a year ahead" in str(result)
    assert (await orders.find_one({"number": 10}))["deleted"] is False
    assert await taken(sink, [envelope(order(10, updated=at(9), title="edited"), "c.json")]) == [UPDATED]
