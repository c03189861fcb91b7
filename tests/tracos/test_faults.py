"""Faults of a real MongoDB, one at a time: what may pass is ridden out, what is one order's is its letter."""

import pytest
import stamina
from motor.motor_asyncio import AsyncIOMotorDatabase

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Deferred, Fatal, TracosOutage
from pipeline.tracos.operations import Operation
from tests.mongo import fail_commands
from tests.tracos.orders import TERMS, at, envelope, order, taken

CREATED, UPDATED = Outcome.CREATED, Outcome.UPDATED
MAY_PASS = [6, 7, 50, 89, 91, 112, 133, 189, 262, 365, 9001, 10107, 11600, 11601, 11602, 13435, 14031]


@pytest.fixture
def at_once():
    """No pauses between tries."""
    stamina.set_testing(True, attempts=3)
    yield
    stamina.set_testing(False)


def codes(written):
    return {position: refusal.code for position, refusal in written.refusals.items()}


def batch(day, **values):
    return [envelope(order(number, updated=at(day), **values), f"{number}.{day}") for number in range(3)]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("code", MAY_PASS)
async def test_an_answer_that_may_pass_is_ridden_out(sink, orders, mongo_uri, code):
    with fail_commands(mongo_uri, "find", errorCode=code):
        assert await taken(sink, batch(8)) == [CREATED] * 3
    with fail_commands(mongo_uri, "update", errorCode=code):
        assert await taken(sink, batch(9, title="new")) == [UPDATED] * 3
    assert await orders.count_documents({"title": "new"}) == 3


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("label", ["RetryableWriteError", "TransientTransactionError"])
async def test_a_label_of_the_server_is_enough(sink, mongo_uri, label):
    with fail_commands(mongo_uri, "insert", errorCode=8, errorLabels=[label]):
        assert await taken(sink, batch(8)) == [CREATED] * 3


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("code", MAY_PASS)
async def test_what_may_pass_is_ridden_out_though_it_is_told_of_one_statement(sink, orders, monkeypatch, code):
    """No fail point makes such a reply, so that the reply is changed; the statement was not done."""
    command, faults = AsyncIOMotorDatabase.command, []

    def once(self, body, *args, **options):
        if not faults and isinstance(body, dict) and "insert" in body:
            faults.append(body["documents"].pop(1))

            async def reply():
                said = await command(self, body, *args, **options)
                return {**said, "writeErrors": [{"index": 1, "code": code, "errmsg": "busy"}]}

            return reply()
        return command(self, body, *args, **options)

    monkeypatch.setattr(AsyncIOMotorDatabase, "command", once)
    assert await taken(sink, batch(8)) == [CREATED] * 3
    assert len(faults) == 1
    assert await orders.count_documents({}) == 3


async def test_what_stays_is_an_outage_with_its_name(make_tracos, mongo_uri):
    async with make_tracos(retry_seconds=0.5) as tracos:
        sink = tracos.sink(TERMS)
        told = pytest.raises(TracosOutage, match=r"could not work for 0\.5 s \(code 262, ExceededTimeLimit\)")
        with fail_commands(mongo_uri, "insert", errorCode=262, times="alwaysOn"), told:
            await taken(sink, batch(8))


@pytest.mark.usefixtures("at_once")
async def test_an_outage_that_only_writes_meet_makes_no_letter_however_often_they_are_tried(sink, mongo_uri):
    """As a full disk, and a majority that stays behind: each try read the order as it was, which was called a miss."""
    await taken(sink, batch(8))
    with fail_commands(mongo_uri, "update", errorCode=14031, times="alwaysOn"):
        stamina.set_testing(True, attempts=8)
        result = await sink.write_batch(batch(9, title="new"))
    assert isinstance(result.stop, TracosOutage)
    assert [type(outcome) for outcome in result.outcomes] == [Deferred] * 3


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (13, "lacks a right"),
        (18, r"refuses the login \(code 18, AuthenticationFailed\)"),
        (8, r"refuses the command \(code 8, UnknownError\)"),
        (301, r"refuses the command \(code 301, DataCorruptionDetected\)"),
    ],
)
async def test_what_does_not_pass_is_told_at_once(sink, mongo_uri, code, told):
    with fail_commands(mongo_uri, "insert", errorCode=code), pytest.raises(Fatal, match=told) as caught:
        await taken(sink, batch(8))
    assert not isinstance(caught.value, TracosOutage)


async def test_writes_that_no_majority_confirms_are_no_success(make_tracos, mongo_uri, orders):
    late = {"code": 64, "errmsg": "waiting for replication timed out", "errInfo": {"wtimeout": True}}
    async with make_tracos(retry_seconds=0.5) as tracos:
        sink = tracos.sink(TERMS)
        with fail_commands(mongo_uri, "insert", writeConcernError=late):
            assert await taken(sink, batch(8)) == [CREATED] * 3
        never = {"code": 100, "errmsg": "Not enough data-bearing nodes"}
        with fail_commands(mongo_uri, "update", writeConcernError=never), pytest.raises(Fatal, match="option w"):
            await taken(sink, batch(9, title="new"))


async def test_another_unique_index_is_named_and_costs_only_the_orders_that_break_it(tracos, orders):
    await orders.create_index([("asset.tag", 1)], unique=True, sparse=True, name="one tag")
    await orders.insert_one({"number": 1, "asset": {"tag": "hunter2"}})
    written = await tracos._connection.write(
        [
            Operation.insert({"number": 2, "asset": {"tag": "hunter2"}}),
            Operation.insert({"number": 3, "asset": {"tag": "other"}}),
            Operation.insert({"number": 1}),
        ]
    )
    assert codes(written) == {0: 11000, 2: 11000}
    assert (written.refusals[0].fields, written.refusals[0].index) == (("asset.tag",), "one tag")
    assert written.refusals[2].fields == ("number",)
    assert "hunter2" not in str(written.refusals[0].reason)
    assert await orders.count_documents({"number": 3}) == 1


RULES = {
    "bsonType": "object",
    "required": ["site"],
    "additionalProperties": False,
    "properties": {
        "_id": {},
        "number": {},
        "site": {},
        "title": {"maxLength": 3},
        "nested": {"properties": {"inner": {"bsonType": "int"}}},
    },
}


@pytest.mark.parametrize(
    ("validator", "fields"),
    [
        ({"$jsonSchema": RULES}, ("inner", "nested", "site", "sync", "title")),
        ({"title": {"$ne": "hunter2"}}, ("title",)),
        ({"title": "other"}, ("title",)),
        (
            {"$and": [{"number": {"$gt": 5}}, {"$or": [{"site": 1}, {"a.b": {"$exists": True}}]}]},
            ("a.b", "number", "site"),
        ),
        ({"$expr": {"$eq": ["$title", 1]}}, ()),
    ],
)
async def test_what_a_validator_refuses_is_told_by_its_fields(tracos, orders, database, validator, fields):
    await database.command("collMod", orders.name, validator=validator)
    document = {"number": 1, "title": "hunter2", "sync": {"rev": 1}, "nested": {"inner": "hunter2"}}
    written = await tracos._connection.write([Operation.insert(document)])
    assert written.refusals[0].fields == fields
    reason = str(written.refusals[0].reason)
    assert "(code 121, DocumentValidationFailure)" in reason
    assert "hunter2" not in reason


async def test_a_command_refused_as_a_whole_for_one_statement_costs_that_one_alone(tracos, orders, mongo_uri):
    """Such as one that is nested too deep, for a server that looks at the whole message first."""
    operations = [Operation.insert({"number": number}) for number in range(9)]
    with fail_commands(mongo_uri, "insert", errorCode=15, times=2):
        written = await tracos._connection.write(operations)
    assert (codes(written), await orders.count_documents({})) == ({}, 9)
    with fail_commands(mongo_uri, "insert", errorCode=15, times="alwaysOn"):
        written = await tracos._connection.write(operations[:3])
    assert codes(written) == dict.fromkeys(range(3), 15)


async def test_what_cannot_be_encoded_or_is_too_large_is_refused_alone(tracos, orders):
    huge = {"number": 3, "text": "x" * (16 * 2**20)}
    odd = [{"number": 2**64}, {"number": "\ud800"}, huge, {"number": 4, "no": object()}]
    written = await tracos._connection.write([Operation.insert(one) for one in [*odd, {"number": 5}]])
    assert codes(written) == dict.fromkeys(range(4), 10334)
    assert [one["number"] async for one in orders.find()] == [5]
