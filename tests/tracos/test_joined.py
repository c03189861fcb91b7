"""Updates that are joined to one statement do what they do one by one: each under its own guard, each by itself."""

import asyncio
import random
from datetime import UTC, datetime

import bson
import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Rejected
from pipeline.tracos import connection as connecting
from pipeline.tracos.connection import Connection
from pipeline.tracos.document import FIELDS, guard, guard_rev
from pipeline.tracos.operations import JOINED, MISSING, Operation, encode_all, join
from pipeline.tracos.verdicts import Refusal
from tests.tracos.orders import TERMS, at, envelope, order, taken

GONE = object()
VALUES = [
    *("", "a", "A", "$title", "$$ROOT", "é", 0, 1, 1.5, 1.0, -0.0, Int64(7), float("nan"), float("inf"), 2**40),
    *(True, False, None, GONE, datetime(2026, 10, 1, tzinfo=UTC), ObjectId("0" * 24), Decimal128("1"), Regex("a")),
    *([], ["other"], [None], {}, {"$literal": 1}, {"missing": True}, Binary(b"other"), Binary(b"", 4)),
]  # fmt: skip
SETS = [
    *("b", "$title", "$$ROOT.number", 2, None, True, [], ["$title"], {}, {"$add": [1, 1]}, {"a.b": {"$c": "$d"}}),
    *(datetime(2026, 10, 2, tzinfo=UTC), 2.5, Binary(b"x")),
]  # fmt: skip


def with_values(document, values):
    document = {**document, **values}
    return {field: value for field, value in document.items() if value is not GONE}


def documents(chance, count):
    """Documents of any shape; their ids are of several types."""
    for number in range(count):
        ids = [ObjectId(number.to_bytes(12, "big")), number, f"{number}", float(number) + 0.5, {"n": number}]
        one = {"_id": chance.choice(ids), "x": number}
        values = {field: chance.choice(VALUES) for field in FIELDS if field != "number" and chance.random() < 0.7}
        sync = chance.choice(
            [
                {"rev": chance.choice([one for one in VALUES if one is not GONE])},
                {"rev": 1},
                {},
                GONE,
                None,
                "ours",
                [{"rev": 1}],
            ]
        )
        yield with_values(one, {"number": number, **values, "sync": sync})


def edits(chance, found):
    """What somebody sets meanwhile, by document; for most nothing."""
    for document in found:
        if chance.random() < 0.4:
            field = chance.choice([*FIELDS, "sync", "sync.rev", "unknown"])
            value = chance.choice(VALUES)
            if field == "sync.rev" and not isinstance(document.get("sync"), dict):
                continue
            yield document["_id"], {"$unset": {field: ""}} if value is GONE else {"$set": {field: value}}


@pytest.mark.parametrize("seed", range(12))
async def test_they_come_to_what_they_come_to_one_by_one(mongo_uri, database_name, database, monkeypatch, seed):
    outcomes = []
    for name in ("joined", "alone"):
        chance = random.Random(seed)
        if name == "alone":
            monkeypatch.setattr(connecting, "join", lambda updates: [])
        async with Connection(mongo_uri, database_name, name, 60) as connection:
            await database[name].insert_many(documents(chance, 40))
            ids = [one["_id"] async for one in database[name].find()]
            found = {bson.encode({"": one.readable["_id"]}): one.readable for one in await connection.find_ids(ids)}
            found = [found[bson.encode({"": document_id})] for document_id in ids]
            writes = [
                Operation.update(
                    guard_rev(one) if chance.random() < 0.1 else guard(one),
                    {field: chance.choice(SETS) for field in chance.sample([*FIELDS[1:], "sync", "new"], 4)},
                )
                for one in found
            ]
            for document_id, edit in edits(chance, found):
                await database[name].update_one({"_id": document_id}, edit)
            written = await connection.write(writes)
            after = [bson.encode(one) async for one in database[name].find().sort("x")]
            outcomes.append((written.matched, written.refusals, after))
    assert outcomes[0] == outcomes[1]
    assert 0 < outcomes[0][0] < 40


async def test_an_edit_is_never_overwritten_however_the_two_meet(mongo_uri, database_name, orders):
    """Each order is edited once while all are written: the edit is what stays, whichever of the two was first."""
    async with Connection(mongo_uri, database_name, "workorders", 60) as connection:
        ids = list(range(400))
        await orders.insert_many([{"_id": number, "title": "as read"} for number in ids])
        found = await connection.find_ids(ids)
        writes = [Operation.update(guard(one.readable), {"title": "ours", "new": 1}) for one in found]
        edit = {"$set": {"title": "edited"}}
        early = [orders.update_one({"_id": number}, edit) for number in ids[:10]]
        ours = asyncio.ensure_future(connection.write(writes))
        await asyncio.sleep(0)
        await asyncio.gather(*early, *[orders.update_one({"_id": number}, edit) for number in reversed(ids[10:])])
        written = await ours
    assert await orders.distinct("title") == ["edited"]
    assert await orders.count_documents({"new": 1}) == written.matched


def test_many_are_few_statements():
    updates = {at: Operation.update({"_id": at, "title": "a"}, {"title": "b"}) for at in range(2 * JOINED + 5)}
    joined = join(updates)
    assert [len(one.positions) for one in joined] == [JOINED, JOINED, 5]
    assert None not in encode_all([one.statement for one in joined])


@pytest.mark.parametrize(
    "other",
    [
        Operation.update({"_id": 2, "title": ["a"]}, {"title": "b"}),
        Operation.update({"_id": None, "title": "a"}, {"title": "b"}),
        Operation.update({"_id": {"n": 2}, "title": "a"}, {"title": "b"}),
        Operation.update({"_id": 2, "sync.rev": 1}, {"sync": {}}),
        Operation.update({"_id": 2, "title": "a"}, {"a.b": "c"}),
        Operation.update({"_id": 2, "title": "a"}, {"$b": "c"}),
        Operation.update({"_id": 2, "a.b": "a"}, {"title": "b"}),
    ],
    ids=lambda one: str((one.guard, one.values)),
)
def test_what_is_not_alike_is_done_alone(other):
    plain = [Operation.update({"_id": at, "title": MISSING}, {"title": "b"}) for at in range(2)]
    (joined,) = join(dict(enumerate([plain[0], other, plain[1]])))
    assert joined.positions == [0, 2]
    assert join({0: plain[0], 1: other}) == []


def edited(numbers, **values):
    return [envelope(order(number, updated=at(9), **values), f"{number}.9") for number in numbers]


@pytest.fixture
async def known(sink):
    """A sink, with five orders taken."""
    await taken(sink, [envelope(order(number, updated=at(8)), f"{number}.8") for number in range(5)])
    return sink


@pytest.fixture
def statements(monkeypatch):
    """How many updates each statement was, by command."""
    command, sizes = Connection._command, []

    async def counted(self, verb, encoded):
        if verb == "update":
            said = map(bson.decode, encoded.values())
            sizes.append([len(one["q"]["_id"]["$in"]) if one.get("multi") else 1 for one in said])
        return await command(self, verb, encoded)

    monkeypatch.setattr(Connection, "_command", counted)
    return sizes


async def test_a_batch_is_one_statement(known, statements, orders):
    assert await taken(known, edited(range(5), title="new")) == [Outcome.UPDATED] * 5
    assert statements == [[5]]
    assert await orders.count_documents({"title": "new", "sync.rev": 2}) == 5


async def test_an_edit_in_between_is_kept_and_the_others_are_written(known, orders, monkeypatch):
    write, edits_left = Connection.write, [1]

    async def late(self, operations):
        if edits_left:
            edits_left.pop()
            await orders.update_one({"number": 3}, {"$set": {"description": "by hand", "isSynced": False}})
        return await write(self, operations)

    monkeypatch.setattr(Connection, "write", late)
    assert await taken(known, edited(range(5), title="new")) == [Outcome.UPDATED] * 5
    assert await orders.count_documents({"title": "new", "sync.rev": 2}) == 5
    assert (await orders.find_one({"number": 3}))["description"] == "by hand"


async def test_what_a_validator_refuses_is_refused_alone(known, orders, database, statements):
    await database.command({"collMod": "workorders", "validator": {"title": {"$ne": "bad"}}})
    items = edited(range(5), title="new")
    items[2] = edited([2], title="bad")[0]
    outcomes = await taken(known, items)
    assert isinstance(outcomes.pop(2), Rejected)
    assert outcomes == [Outcome.UPDATED] * 4
    assert statements[0] == [5]
    assert statements[1] == [1] * 5
    assert await orders.count_documents({"title": "new", "sync.rev": 2}) == 4
    assert await orders.count_documents({"title": "Pump", "sync.rev": 1}) == 1


@pytest.mark.parametrize("is_done", [False, True])
async def test_one_that_is_refused_is_done_one_by_one_whatever_was_done_of_it(known, orders, monkeypatch, is_done):
    """As by a server that does not know such statements; or by one that did it, and then failed."""
    command = Connection._command

    async def refusing(self, verb, encoded):
        if verb == "update" and bson.decode(next(iter(encoded.values()))).get("multi"):
            if is_done:
                await command(self, verb, encoded)
            return 0, dict.fromkeys(encoded, Refusal(9))
        return await command(self, verb, encoded)

    monkeypatch.setattr(Connection, "_command", refusing)
    assert await taken(known, edited(range(5), title="new")) == [Outcome.UPDATED] * 5
    assert await orders.count_documents({"title": "new", "sync.rev": 2}) == 5


async def test_a_replica_set_takes_them(make_tracos, replica_set, database_name, statements):
    async with make_tracos(replica_set.uri, database=database_name) as tracos:
        sink = tracos.sink(TERMS)
        await taken(sink, [envelope(order(number, updated=at(8)), f"{number}.8") for number in range(5)])
        assert await taken(sink, edited(range(5), title="new")) == [Outcome.UPDATED] * 5
        assert set(await taken(sink, edited(range(5), title="new"))) <= {Outcome.REPEAT}
        assert statements == [[5]]
