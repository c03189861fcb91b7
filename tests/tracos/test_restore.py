"""A value that gave way is set again in its document: in its kind, under a guard, told in the decision log before."""

import os
from datetime import UTC, datetime

import pytest
from bson import Decimal128, Int64
from msgspec.structs import replace
from pymongo.errors import AutoReconnect

from pipeline.errors import Fatal, Outage, WrongUsage
from pipeline.history.conflicts import Conflict, read_conflicts
from pipeline.history.decisions import RESTORED, read_decisions
from pipeline.orders.workorder import Kind
from pipeline.tracos.connection import ATTEMPTS, Connection, Written
from pipeline.tracos.found import Found
from pipeline.tracos.restore import Restorer
from tests.tracos.orders import TERMS, at, envelope, order, taken

NOW = datetime.now(UTC).year


def conflict(field="title", value="Old", number=1, client="erp"):
    return Conflict(
        at=at(3),
        run="r",
        client=client,
        number=number,
        locator="a.json",
        field=field,
        side="tracos",
        value=value,
        kept="Pump",
        because="newer",
    )


def told(decision_file):
    return [entry for entry in read_decisions(decision_file) if entry.rule == RESTORED]


@pytest.fixture
async def known(sink, orders):
    """``known(**values)``: order 1, which came from the client, as its document is after an edit of these values."""
    await taken(sink, [envelope(order(1, updated=at(2), description="Oil"))])

    async def make(**values):
        if values:
            await orders.update_one({"number": 1}, {"$set": values})
        return await orders.find_one({"number": 1})

    return make


@pytest.mark.parametrize(
    ("field", "value"), [("title", "Old"), ("description", "Grease"), ("status", "on_hold"), ("title", "")]
)
async def test_it_is_a_new_edit_that_the_client_is_to_be_told(tracos, orders, known, decision_file, field, value):
    before = await known()
    change = await tracos.restore(TERMS, conflict(field, value))
    after = await orders.find_one({"number": 1})
    assert after[field] == value
    assert (change.field, change.old, change.new) == (field, before[field], value)
    assert after["isSynced"] is False
    assert after["updatedAt"].endswith("Z")
    assert after["updatedAt"] > before["updatedAt"]
    assert after["sync"] == before["sync"] | {"rev": before["sync"]["rev"] + 1}
    ours = {field, "isSynced", "updatedAt", "sync"}
    assert {k: v for k, v in after.items() if k not in ours} == {k: v for k, v in before.items() if k not in ours}
    (entry,) = told(decision_file)
    assert (entry.client, entry.number, entry.locator, entry.changes) == ("erp", 1, "a.json", (change,))


@pytest.mark.parametrize("kind", [str, datetime])
async def test_a_deletion_comes_and_goes_with_its_time_in_the_documents_kind(tracos, orders, known, kind):
    await known(createdAt=at(1), updatedAt=at(2)) if kind is datetime else await known()
    await tracos.restore(TERMS, conflict("deleted", value=True))
    after = await orders.find_one({"number": 1})
    assert (after["deleted"], after["deletedAt"]) == (True, after["updatedAt"])
    assert isinstance(after["deletedAt"], kind)
    assert after["status"] == "created"
    await tracos.restore(TERMS, conflict("deleted", value=False))
    after = await orders.find_one({"number": 1})
    assert (after["deleted"], after["deletedAt"]) == (False, None)


@pytest.mark.parametrize(
    ("own", "value", "expected"),
    [
        ("high", "low", "low"),
        ("high", None, None),
        (True, False, False),
        (3, 5, 5),
        (Int64(3), 5, 5),
        (3.5, 5, 5.0),
        (3, 5.25, 5.25),
        (Decimal128("1.50"), 2.25, Decimal128("2.25")),
        (Decimal128("1.50"), "2.25", Decimal128("2.25")),
        (at(5), "2026-10-07T08:00:00Z", at(7)),
        ("2026-10-05T08:00:00.000Z", "2026-10-07T08:00:00Z", "2026-10-07T08:00:00.000Z"),
        ("2026-10-05", "2026-10-07", "2026-10-07"),
        (at(5), "soon", "soon"),
        ("2026-10-05T08:00:00.000Z", "soon", "soon"),
        (["a"], ["b", "c"], ["b", "c"]),
        ("of the document", 7, 7),
    ],
)
async def test_any_field_is_set_in_the_kind_of_what_is_there(tracos, orders, known, own, value, expected):
    await known(**{"of its own": own})
    await tracos.restore(TERMS, conflict("of its own", value))
    after = await orders.find_one({"number": 1})
    assert (after["of its own"], after["isSynced"], after["sync"]["rev"]) == (expected, False, 2)
    assert isinstance(after["of its own"], float) is isinstance(expected, float)


@pytest.mark.parametrize(
    ("kind", "own", "value", "expected"),
    [
        (Kind.TEXT, "2026-10-05T08:00:00.000Z", "2026-10-07T08:00:00Z", "2026-10-07T08:00:00Z"),
        (Kind.TIME, "2026-10-05", "2026-10-07T08:00:00Z", "2026-10-07T08:00:00.000Z"),
        (Kind.TIME, at(5), "2026-10-07T08:00:00Z", at(7)),
        (Kind.TIME, None, "2026-10-07T08:00:00Z", "2026-10-07T08:00:00.000Z"),
        (Kind.NUMBER, 3.5, 5, 5.0),
        (Kind.FLAG, True, False, False),
    ],
)
async def test_a_field_of_the_clients_layouts_is_set_in_its_kind(tracos, orders, known, kind, own, value, expected):
    await known(due=own)
    await tracos.restore(replace(TERMS, fields={"due": kind}), conflict("due", value))
    after = await orders.find_one({"number": 1})
    assert (after["due"], type(after["due"])) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value"), [(Kind.TIME, "soon"), (Kind.NUMBER, "5"), (Kind.FLAG, "true"), (Kind.TEXT, 5)]
)
async def test_a_value_of_another_kind_is_none_of_such_a_field(tracos, orders, known, kind, value):
    before = await known()
    with pytest.raises(WrongUsage, match=r"^order 1: .*: nothing was set$"):
        await tracos.restore(replace(TERMS, fields={"due": kind}), conflict("due", value))
    assert await orders.find_one({"number": 1}) == before


async def test_a_field_that_has_gone_comes_back(tracos, orders, known):
    await known()
    await tracos.restore(TERMS, conflict("priority", "high"))
    assert (await orders.find_one({"number": 1}))["priority"] == "high"


@pytest.mark.parametrize(
    ("field", "own", "value"),
    [
        ("title", "Old", "Old"),
        ("deleted", None, False),
        ("priority", "high", "high"),
        ("priority", Int64(5), 5),
        ("due", at(7), "2026-10-07T08:00:00Z"),
        ("due", "2026-10-07T08:00:00.000Z", "2026-10-07T08:00:00Z"),
        ("priority", None, None),
    ],
)
async def test_what_the_document_says_already_is_refused(tracos, orders, known, decision_file, field, own, value):
    before = await known(**{field: own})
    with pytest.raises(WrongUsage, match=f"^order 1: {field} says that already: nothing was set$"):
        await tracos.restore(TERMS, conflict(field, value))
    assert await orders.find_one({"number": 1}) == before
    assert told(decision_file) == []


async def test_true_is_not_one(tracos, orders, known):
    await known(stop=True)
    await tracos.restore(TERMS, conflict("stop", 1))
    assert (await orders.find_one({"number": 1}))["stop"] is not True


@pytest.mark.parametrize(
    ("values", "meant", "why"),
    [
        ({"number": 2}, {}, "TracOS has no such order any more"),
        ({"status": "lost"}, {}, r"the document in TracOS: \$.status: unknown status; known: created"),
        ({"sync.client": "b"}, {}, "belongs to the client 'b', not to 'erp'"),
        ({}, {"field": "status", "value": "lost"}, "the decision log holds no status that there is"),
        ({}, {"field": "status", "value": 7}, "the decision log holds no status that there is"),
        ({}, {"field": "title", "value": 7}, r"\$.title: not a text"),
        ({}, {"field": "x", "value": 10**19}, "too large for MongoDB, or has what MongoDB cannot hold"),
    ],
)
async def test_what_cannot_be_is_told_in_a_line_and_nothing_is_written(
    tracos, orders, known, decision_file, values, meant, why
):
    await known(**values)
    before = await orders.find_one()
    with pytest.raises(WrongUsage, match=f"^order 1: .*{why}.*: nothing was set$"):
        await tracos.restore(TERMS, conflict(**meant))
    assert await orders.find_one() == before
    assert told(decision_file) == []


@pytest.mark.parametrize(("stored", "asked"), [("17", 17), (17, "17"), (17.0, 17), ("A-1", "A-1")])
async def test_an_order_is_found_whatever_the_type_of_its_number(tracos, orders, stored, asked):
    await orders.insert_one({"number": stored, "title": "Pump", "isSynced": True})
    await tracos.restore(TERMS, conflict(number=asked))
    after = await orders.find_one()
    assert (after["title"], after["isSynced"], after["number"]) == ("Old", False, stored)
    assert "sync" not in after, "half of it could not be read"


async def test_a_time_of_the_future_is_not_moved_back(tracos, orders, known):
    await known(updatedAt=f"{NOW + 1}-01-01T00:00:00.000Z")
    await tracos.restore(TERMS, conflict())
    assert (await orders.find_one({"number": 1}))["updatedAt"] == f"{NOW + 1}-01-01T00:00:00.000Z"


class Between(Connection):
    """Somebody does something between our reading and our writing, ``times`` over."""

    times = 1

    async def write(self, operations):
        if self.times:
            self.times -= 1
            await self.something(operations)
        return await super().write(operations)


class TestInBetween:
    @pytest.fixture
    async def between(self, make_tracos):
        async with make_tracos(kind=Between, retry_seconds=2) as tracos:
            yield tracos

    @pytest.mark.parametrize("edit", [{"description": "theirs"}, {"title": "theirs"}, {"priority": 2}, {"sync.rev": 7}])
    async def test_an_edit_is_not_lost(self, between, orders, known, decision_file, edit):
        await known()
        field, value = ("priority", 1) if "priority" in edit else ("title", "Old")

        async def something(_):
            await orders.update_one({"number": 1}, {"$set": edit})

        between._connection.something = something
        change = await between.restore(TERMS, conflict(field, value))
        after = await orders.find_one({"number": 1})
        assert after[field] == value
        assert {key: after.get(key) for key in edit if key not in (field, "sync.rev")}.items() <= edit.items()
        assert after["sync"]["rev"] == edit.get("sync.rev", 1) + 1
        (entry,) = told(decision_file)
        assert entry.changes == (change,)
        assert change.old == edit.get(field, "Pump")

    async def test_edits_without_end_end_it(self, between, orders, known, decision_file):
        await known()
        count = iter(range(100))

        async def something(_):
            await orders.update_one({"number": 1}, {"$set": {"description": str(next(count))}})

        between._connection.something, between._connection.times = something, ATTEMPTS
        with pytest.raises(Fatal, match="is being edited in TracOS time and again"):
            await between.restore(TERMS, conflict())
        assert (await orders.find_one({"number": 1}))["title"] == "Pump"
        assert told(decision_file) == []

    async def test_a_document_that_is_never_found_again_is_told_as_such(
        self, between, orders, known, decision_file, monkeypatch
    ):
        await known()
        between._connection.times = 0

        async def missing(self, operations):
            return Written(0, {})

        monkeypatch.setattr(Connection, "write", missing)
        with pytest.raises(WrongUsage, match="is not found again by what was read of it, though nobody edits it"):
            await between.restore(TERMS, conflict())
        assert told(decision_file) == []

    async def test_what_a_majority_does_not_have_yet_is_waited_for(self, between, orders, known, monkeypatch):
        await known()
        waited = []
        real = Restorer._look_up

        async def behind(self, *, confirmed=True):
            found = await real(self)
            if confirmed or waited:
                return found
            waited.append(True)
            return Found.of({**found.readable, "title": "not confirmed yet"})

        async def missing(operations):
            between._connection.something = nothing
            await orders.update_one({"number": 1}, {"$inc": {"sync.rev": 1}})
            await Connection.write(between._connection, operations)
            await orders.update_one({"number": 1}, {"$inc": {"sync.rev": -1}})
            raise AutoReconnect("gone")

        async def nothing(operations):
            pass

        between._connection.something = missing
        monkeypatch.setattr(Restorer, "_look_up", behind)
        await between.restore(TERMS, conflict())
        assert waited == [True]
        assert (await orders.find_one({"number": 1}))["title"] == "Old"

    async def test_somebody_sets_it_first(self, between, orders, known, decision_file):
        await known()

        async def something(_):
            await orders.update_one({"number": 1}, {"$set": {"title": "Old"}})

        between._connection.something = something
        with pytest.raises(WrongUsage, match="title says that already"):
            await between.restore(TERMS, conflict())
        assert told(decision_file) == []

    async def test_a_lost_reply_is_no_second_edit(self, between, orders, known, decision_file):
        await known()

        async def something(operations):
            await Connection.write(between._connection, operations)
            raise AutoReconnect("gone")

        between._connection.something = something
        await between.restore(TERMS, conflict())
        after = await orders.find_one({"number": 1})
        assert (after["title"], after["sync"]["rev"]) == ("Old", 2)
        assert len(told(decision_file)) == 1
        assert decision_file.read_bytes().count(b"restored") == 1

    async def test_after_an_outage_the_log_tells_of_what_may_be_written(self, between, orders, known, decision_file):
        await known()

        async def something(operations):
            raise AutoReconnect("gone")

        between._connection.something, between._connection.times = something, 1000
        with pytest.raises(Outage):
            await between.restore(TERMS, conflict())
        assert len(told(decision_file)) == 1

    async def test_it_is_in_the_log_and_durable_before_it_is_written(self, between, orders, known, monkeypatch):
        await known()
        synced, seen = [], []
        monkeypatch.setattr(os, "fsync", synced.append)

        async def something(_):
            seen.append((len(synced), (await orders.find_one({"number": 1}))["title"]))

        between._connection.something = something
        await between.restore(TERMS, conflict())
        assert seen == [(1, "Pump")]


async def test_killed_before_the_write_it_can_be_restored_again(tracos, orders, known, decision_file, monkeypatch):
    await known()

    async def killed(self, operations):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            await tracos.restore(TERMS, conflict())
    assert (await orders.find_one({"number": 1}))["title"] == "Pump"
    await tracos.restore(TERMS, conflict())
    assert (await orders.find_one({"number": 1}))["title"] == "Old"
    assert read_conflicts(decision_file) == []


FIELDS = {"due": Kind.TIME, "priority": Kind.TEXT, "hours": Kind.NUMBER, "stop": Kind.FLAG}
EARLIER = {"due": at(20), "priority": "low", "hours": 2.5, "stop": False}
OURS = {"due": at(21), "priority": "high", "hours": 3, "stop": True}
THEIRS = {"due": at(22), "priority": "none", "hours": 4, "stop": False}


@pytest.mark.parametrize("ids", ["shared", "client"])
@pytest.mark.parametrize("wins", ["client", "tracos"])
@pytest.mark.parametrize("in_bson", [True, False])
async def test_what_a_merge_let_go_comes_back_whatever_the_field_and_whoever_numbers(
    tracos, orders, decision_file, ids, wins, in_bson
):
    terms = replace(TERMS, fields=FIELDS, ids=ids, number="ERP-{id}" if ids == "client" else "{id}")
    sink = tracos.sink(terms)
    await taken(sink, [envelope(order(1, updated=at(2), more=EARLIER))])
    ours = OURS if in_bson else OURS | {"due": "2026-10-21T08:00:00.000Z"}
    await orders.update_one({}, {"$set": ours | {"isSynced": False, "updatedAt": at(3 if wins == "client" else 9)}})
    await taken(sink, [envelope(order(1, updated=at(5), more=THEIRS), "b.json")])
    lost = {one.field: one for one in read_conflicts(decision_file)}
    assert lost.keys() == FIELDS.keys() - {"stop"}, "only one side edited that"
    for one in lost.values():
        await tracos.restore(terms, one)
    after = await orders.find_one()
    gone = ours if wins == "client" else THEIRS | {"stop": True}
    if wins == "tracos" and not in_bson:
        gone = gone | {"due": "2026-10-22T08:00:00.000Z"}
    assert {field: after[field] for field in FIELDS} == gone
    assert after["isSynced"] is False
    assert not [one for one in read_conflicts(decision_file) if not one.restored]
