"""All documents looked at, records beside them, unmarked edits marked under the guard; on a real MongoDB."""

from datetime import UTC, datetime

import pytest
import stamina
from bson import Decimal128, ObjectId
from msgspec.structs import replace
from pymongo.errors import AutoReconnect

from pipeline.dataflow.messages import Outcome
from pipeline.errors import Rejected
from pipeline.orders.compare import GapKind
from pipeline.tracos.comparing import GROUP
from pipeline.tracos.connection import Connection
from pipeline.tracos.dry import DryConnection
from pipeline.tracos.found import StoredGroups
from tests.tracos.orders import TERMS, at, envelope, order, taken, terms


async def everything(source):
    return [item.payload async for group in source.read() for item in group]


def numbers(found):
    return [one.readable["number"] for one in found]


async def test_all_are_read_whatever_their_ids_and_marks_are(tracos, orders):
    kinds = [
        "text",
        7,
        7.5,
        None,
        True,
        datetime(2026, 1, 1, tzinfo=UTC),
        {"a": 1},
        b"\0",
        ObjectId(),
        Decimal128("1.5"),
    ]
    await orders.insert_many([{"_id": kind, "number": at, "isSynced": at % 2 == 0} for at, kind in enumerate(kinds)])
    assert sorted(numbers(await everything(tracos.documents(TERMS)))) == list(range(len(kinds)))


async def test_of_a_collection_that_is_not_there_none_is_read_and_it_is_not_made(make_tracos, database):
    async with make_tracos(kind=DryConnection) as tracos:
        assert await everything(tracos.documents(TERMS)) == []
        assert await tracos.unmark(TERMS) == 0
    assert await database.list_collection_names() == []


async def test_it_goes_on_after_an_outage_and_misses_none(tracos, orders, monkeypatch):
    """Of ids of several types, one following on another."""
    stamina.set_testing(True, attempts=3)
    ids = [*range(1500), *map(str, range(1500)), *(ObjectId() for _ in range(1500))]
    await orders.insert_many([{"_id": one, "number": at} for at, one in enumerate(ids)])
    following, calls, starts = StoredGroups.following, [], []
    find_all = Connection.find_all

    async def broken(self):
        calls.append(1)
        if len(calls) in {2, 4, 5, 7, 9}:
            raise AutoReconnect
        return await following(self)

    def started(self, group, *, start=()):
        starts.append(list(start))
        return find_all(self, group, start=start)

    monkeypatch.setattr(StoredGroups, "following", broken)
    monkeypatch.setattr(Connection, "find_all", started)
    try:
        found = numbers(await everything(tracos.documents(TERMS)))
    finally:
        stamina.set_testing(False)
    assert set(found) == set(range(len(ids)))
    assert len(found) < len(ids) + len(starts)
    assert {type(start[0]) for start in starts if start} == {int, str, ObjectId}


async def test_groups_are_small(tracos, orders):
    await orders.insert_many([{"number": number} for number in range(2 * GROUP + 3)])
    sizes = [len(group) async for group in tracos.documents(TERMS).read()]
    assert (sum(sizes), max(sizes)) == (2 * GROUP + 3, GROUP)


async def test_a_document_says_what_it_comes_to(tracos, sink, orders):
    await taken(sink, [envelope(order(1, updated=at(2)))])
    await orders.update_one({}, {"$set": {"title": "Ours"}})
    documents = tracos.documents(TERMS)
    (found,) = await everything(documents)
    (gap,) = documents.look_at(found).gaps
    assert (gap.kind, gap.ours, gap.theirs) == (GapKind.UNMARKED, "Ours", "Pump")
    with pytest.raises(Rejected, match="no layout of this name; it has: other"):
        tracos.documents(terms("other")).look_at(found)
    await orders.update_one({}, {"$set": {"status": "odd"}})
    (found,) = await everything(documents)
    with pytest.raises(Rejected, match="unknown status"):
        documents.look_at(found)


async def test_unmarked_edits_are_marked_and_nothing_else(tracos, sink, orders):
    await taken(sink, [envelope(order(number, updated=at(2)), f"{number}.json") for number in range(5)])
    await orders.update_one({"number": 1}, {"$set": {"title": "Ours"}})
    await orders.update_one({"number": 2}, {"$set": {"title": "Ours", "isSynced": False}})
    await orders.update_one({"number": 3}, {"$set": {"status": "odd"}})
    await orders.insert_one({"number": 9, "title": "of others", "isSynced": True})
    before = {one["number"]: one async for one in orders.find()}
    assert await tracos.unmark(TERMS) == 1
    after = {one["number"]: one async for one in orders.find()}
    changed = before[1] | {"isSynced": False, "sync": before[1]["sync"] | {"rev": before[1]["sync"]["rev"] + 1}}
    assert after == before | {1: changed}
    assert await tracos.unmark(TERMS) == 0


async def test_who_takes_the_edit_back_in_between_is_not_marked(tracos, sink, orders, monkeypatch):
    await taken(sink, [envelope(order(number, updated=at(2)), f"{number}.json") for number in (1, 2)])
    await orders.update_many({}, {"$set": {"title": "Ours"}})
    write, calls = Connection.write, []

    async def between(self, operations):
        if not calls:
            await orders.update_one({"number": 1}, {"$set": {"title": "Pump"}})
            await orders.update_one({"number": 2}, {"$set": {"title": "Ours again"}})
        calls.append(len(operations))
        return await write(self, operations)

    monkeypatch.setattr(Connection, "write", between)
    assert await tracos.unmark(TERMS) == 2
    assert calls == [2, 1]
    marks = {one["number"]: (one["title"], one["isSynced"]) async for one in orders.find()}
    assert marks == {1: ("Pump", True), 2: ("Ours again", False)}


async def test_records_are_compared_with_the_documents_that_a_run_would_merge_them_into(tracos, orders):
    await orders.insert_many([{"number": 1, "title": "Ours"}, {"number": "1"}, {"number": 2, "title": "Ours"}])
    seen = []
    comparer = tracos.comparer(TERMS, seen.extend)
    far = replace(order(4), order=replace(order(4).order, updated_at=datetime(2090, 1, 1, tzinfo=UTC)))
    before = [one async for one in orders.find()]
    records = [order(1), order("2", updated=at(3)), order(3), far]
    result = await comparer.write_batch([envelope(one, f"{at}.json") for at, one in enumerate(records)])
    assert result.outcomes[1:3] == [Outcome.UNCHANGED] * 2
    assert "merge or remove the twins" in str(result.outcomes[0])
    assert "more than a year ahead" in str(result.outcomes[3])
    assert [(one.key, [gap.kind for gap in one.gaps][:1]) for one in seen] == [
        (2, [GapKind.DIFFERS]),
        (3, [GapKind.ONLY_CLIENT]),
    ]
    assert [one async for one in orders.find()] == before


async def test_of_a_client_that_numbers_its_orders_itself_by_its_ids_and_by_references(tracos, orders):
    theirs = terms("plain", ids="client", number="SAP-{id}")
    await taken(tracos.sink(theirs), [envelope(order("E1", updated=at(2)))])
    await orders.insert_many([{"number": 7, "title": "Seven"}, {"number": 8, "title": "Eight"}])
    seen = []
    records = [
        order("E1", updated=at(3), title="new"),
        replace(order("E7", updated=at(3)), reference="7"),
        order("E9", updated=at(3)),
        replace(order("E2", updated=at(3)), reference="SAP-E1"),
    ]
    comparer = tracos.comparer(theirs, seen.extend)
    result = await comparer.write_batch([envelope(one, f"{at}.json") for at, one in enumerate(records)])
    assert [(gap.kind, gap.number, gap.id) for one in seen for gap in one.gaps if gap.field in ("title", None)] == [
        (GapKind.DIFFERS, "SAP-E1", "E1"),
        (GapKind.DIFFERS, 7, "E7"),
        (GapKind.ONLY_CLIENT, "SAP-E9", "E9"),
    ]
    assert "linked to the client's E1 already" in str(result.outcomes[3])
