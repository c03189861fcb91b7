"""What other programs put into the collection, and into its rules, costs the orders that it concerns and no other."""

import asyncio

import bson
import pytest
from bson import Decimal128, ObjectId
from bson.raw_bson import RawBSONDocument

from pipeline.dataflow.messages import Envelope, Fate, Outcome, Unreadable
from pipeline.errors import Rejected
from pipeline.history.decisions import read_decisions
from tests.tracos.orders import TERMS, at, envelope, order, taken
from tests.tracos.test_found import BROKEN, STRANGE, broken

CREATED, UPDATED, REPEAT = Outcome.CREATED, Outcome.UPDATED, Outcome.REPEAT
OURS = {"client": "erp", "id": 5, "layout": "plain"}
RULES = {"number": {}, "title": {}, "status": {}, "isSynced": {}, "deleted": {}, "createdAt": {}, "_id": {}}


def batch(numbers, day=8, **values):
    return [envelope(order(number, updated=at(day), **values), f"{number}.{day}") for number in numbers]


async def everything(source):
    return [item async for group in source.read() for item in group]


@pytest.mark.parametrize(
    "document",
    [
        *({"number": number} for number in (Decimal128("5"), 5.0, [5, "x"], ["y", 5], Decimal128("5.000"))),
        *({"number": 5, field: value} for field in ("status", "sync") for value in STRANGE if value is not None),
        *(broken(5, values, at=1) for values, _ in BROKEN),
        {
            "number": 5,
            "sync": {"client": "erp", "id": 5, "layout": "plain", "base": {"deletedAt": "2026-10-01T08:00:00"}},
        },
    ],
    ids=lambda document: type(document).__name__,
)
async def test_one_foreign_document_costs_one_record_and_the_next_run_writes_nothing(sink, tracos, orders, document):
    await orders.insert_one(document)
    source = tracos.source(TERMS)
    results = await taken(sink, batch(range(10)))
    assert [one for one in results if not isinstance(one, Rejected)] == [CREATED] * 9 or results == [
        UPDATED if number == 5 else CREATED for number in range(10)
    ]
    before = [one.raw for one in await tracos._connection.find_numbers(list(range(10)))]
    again = await taken(sink, batch(range(10)))
    assert [type(one) for one in again] == [type(one) for one in results]
    assert [one.raw for one in await tracos._connection.find_numbers(list(range(10)))] == before
    items = await everything(source)
    for item in items:
        assert item.raw
        with pytest.raises(Rejected):
            source.to_record(item.payload)
    await source.settle({item.locator: Fate.DEAD for item in items})
    assert source.pending == 0


async def test_what_cannot_be_decoded_is_a_letter_outbound_too_and_the_others_go(tracos, orders):
    bad = [broken(9 + n, values, at=n) for n, (values, _) in enumerate(BROKEN)]
    await orders.insert_many([{"number": 1, "status": "created"}, *bad])
    source = tracos.source(TERMS)
    items = await everything(source)
    assert len({item.locator for item in items}) == len(BROKEN) + 1
    good = [item for item in items if not item.payload.reasons]
    assert [source.to_record(item.payload).external_id for item in good] == [1]
    for item in items:
        if item.payload.reasons:
            with pytest.raises(Rejected, match=r"not UTF-8|cannot be decoded"):
                source.to_record(item.payload)
    await source.settle({item.locator: Fate.DELIVERED if item in good else Fate.DEAD for item in items})
    assert await orders.count_documents({"isSynced": True}) == 1


async def test_ids_that_look_alike_are_marked_each_with_its_own(tracos, orders):
    """480 documents got another order's `sync` part: an ObjectId and the same as a text were one key."""
    made = [ObjectId() for _ in range(20)]
    ids = [*made, *map(str, made)]
    await orders.insert_many([{"_id": one, "number": at, "status": "created"} for at, one in enumerate(ids)])
    source = tracos.source(TERMS)
    items = await everything(source)
    assert len({item.locator for item in items}) == len(ids)
    await orders.update_many({}, {"$set": {"title": "edited"}})
    await source.settle({item.locator: Fate.DELIVERED for item in items})
    async for document in orders.find():
        assert document["sync"]["id"] == document["number"]
        assert "isSynced" not in document


async def test_another_unique_index_makes_letters_that_name_it(sink, orders):
    await orders.create_index("title", unique=True, name="one title each")
    results = await taken(sink, batch(range(5)))
    assert [type(one) for one in results].count(Rejected) == 4
    for one in results:
        if isinstance(one, Rejected):
            assert "another document has the same `title` (unique index one title each)" in str(one)
    assert await orders.count_documents({}) == 1


async def test_an_index_that_takes_two_numbers_for_one_makes_a_letter_and_no_wait(sink, orders):
    await orders.create_index("number", unique=True, name="caseless", collation={"locale": "en", "strength": 1})
    results = await taken(sink, [*batch(["po-1"]), *batch(["PO-1", "po-2"])])
    assert [results[0], results[2]] == [CREATED, CREATED]
    assert "the same `number` (unique index caseless)" in str(results[1])


async def test_a_document_that_no_guard_meets_is_a_letter_and_not_edited_for_ever(sink, orders):
    """A field twice: what reads it takes the last, what looks for it the first."""
    twice = bson.encode({"_id": 1, "number": 5, "titla": "a", "title": "b"}).replace(b"titla", b"title")
    await orders.insert_one(RawBSONDocument(twice))
    results = await taken(sink, batch([4, 5, 6], title="new"))
    assert [results[0], results[2]] == [CREATED, CREATED]
    assert "though nobody edits it" in str(results[1])


@pytest.mark.parametrize("level", ["strict", "moderate"])
async def test_a_mark_that_the_validator_would_refuse_is_a_letter_before_the_hand_over(make_tracos, database, level):
    rules = {"$jsonSchema": {"bsonType": "object", "additionalProperties": False, "properties": RULES}}
    orders = await database.create_collection("workorders", validator=rules, validationLevel=level)
    await orders.insert_many([{"number": number, "status": "created"} for number in range(3)])
    odd = {"number": 9, "status": "created", "other": 1}
    await database.command("insert", "workorders", documents=[odd], bypassDocumentValidation=True)
    async with make_tracos() as tracos:
        source = tracos.source(TERMS)
        items = await everything(source)
        refused = [item for item in items if isinstance(item, Unreadable)]
        assert len(refused) == (4 if level == "strict" else 3)
        assert "`sync`, `isSynced`, `syncedAt`" in str(refused[0].reasons[0])
        for item in items:
            if isinstance(item, Envelope):
                source.to_record(item.payload)
        await source.settle({one.locator: Fate.DEAD if one in refused else Fate.DELIVERED for one in items})
        assert await orders.count_documents({"isSynced": True}) == 4 - len(refused)
    await database.command("collMod", "workorders", validator={})
    async with make_tracos() as tracos:
        now_good = [one for one in await everything(tracos.source(TERMS)) if isinstance(one, Envelope)]
        assert len(now_good) == len(refused)
        raws = {(one.locator, one.raw): one.stamp for one in refused}
        assert all(raws[one.locator, one.raw] != one.stamp for one in now_good), "else they would be held for ever"


async def test_two_machines_count_what_each_of_them_wrote(make_tracos, orders, tmp_path):
    async with make_tracos() as one, make_tracos() as other:
        sinks = [each.sink(TERMS) for each in (one, other)]
        counts = [0, 0]

        async def fill(number):
            for start in range(0, 600, 100):
                results = await taken(sinks[number], batch(range(start, start + 100)))
                counts[number] += results.count(CREATED)
                assert set(results) <= {CREATED, REPEAT}

        await asyncio.gather(fill(0), fill(1))
    assert sum(counts) == await orders.count_documents({}) == 600


async def test_a_write_that_missed_leaves_no_entry_that_says_it_was_made(sink, orders, monkeypatch, decision_file):
    await taken(sink, batch([1]))
    await orders.update_one({}, {"$set": {"title": "ours", "updatedAt": "2026-10-08T09:00:00Z"}})
    write, edits = sink._connection.write, []

    async def meddled(operations):
        if not edits:
            edits.append(await orders.update_one({}, {"$set": {"title": "newer", "updatedAt": "2026-10-30T09:00:00Z"}}))
        return await write(operations)

    monkeypatch.setattr(sink._connection, "write", meddled)
    await taken(sink, batch([1], day=9, title="theirs"))
    assert (await orders.find_one({}))["title"] == "newer"
    _, entry = read_decisions(decision_file)
    assert [(lost.value, lost.side) for lost in entry.lost] == [("theirs", "client")]
    assert entry.changes == ()
    assert b'"missed"' in decision_file.read_bytes(), "what was told ahead is taken back"


async def test_what_is_plainly_written_is_told_once_it_is(sink, orders, monkeypatch, decision_file):
    write, edits = sink._connection.write, []

    async def meddled(operations):
        if not edits:
            assert not decision_file.exists()
            edits.append(await orders.insert_one({"number": 1, "title": "first", "status": "created"}))
        return await write(operations)

    monkeypatch.setattr(sink._connection, "write", meddled)
    await taken(sink, batch([1, 2]))
    assert [(entry.number, entry.rule) for entry in read_decisions(decision_file)] == [(2, "insert"), (1, "no_base")]
    assert b'"missed"' not in decision_file.read_bytes()
