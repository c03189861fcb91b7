"""Whether what was delivered is still known, on a real MongoDB: told by the documents themselves."""

from datetime import UTC, datetime

import pytest
from bson import ObjectId

from pipeline.orders.workorder import Status
from pipeline.tracos.document import read_document
from tests.places import place
from tests.tracos.orders import TERMS, at, envelope, order, taken

A, B = place("a.json"), place("b.ndjson:2")


async def held(witness, proofs):
    return [proof is not None for proof in await witness.hold(proofs)]


@pytest.fixture
def witness(tracos):
    witness = tracos.witness(TERMS)
    witness.attend()
    return witness


@pytest.fixture
def sink(tracos, witness):
    return tracos.sink(TERMS, witness)


@pytest.fixture
async def proofs(sink, witness):
    """Of two orders, one new and one that was there."""
    await taken(sink, [envelope(order(1), "a.json")])
    witness.take([A])
    await taken(sink, [envelope(order(2, updated=at(3)), "b.ndjson:2"), envelope(order(1), "a.json")])
    return witness.take([A, B])


async def test_a_proof_holds_while_documents_come_and_change(witness, proofs, sink, orders):
    assert await held(witness, proofs) == [True, True]
    await taken(sink, [envelope(order(3), "c.json")])
    await orders.insert_one({"_id": "odd", "title": "born here"})
    await orders.update_one({"number": 1}, {"$set": {"title": "edited", "isSynced": False}})
    assert await held(witness, proofs) == [True, True]


async def test_each_is_given_once_and_none_where_nothing_was_delivered(witness, proofs):
    assert None not in proofs
    assert witness.take([A, B, place("never.json")]) == [None, None, None]


async def test_nothing_is_kept_until_somebody_asks(tracos):
    witness = tracos.witness(TERMS)
    await taken(tracos.sink(TERMS, witness), [envelope(order(1), "a.json")])
    assert witness.take([A]) == [None]


async def test_a_stale_record_is_known_too(witness, sink, orders):
    await taken(sink, [envelope(order(1, updated=at(9), title="new"), "new.json")])
    await taken(sink, [envelope(order(1, updated=at(8), title="old"), "a.json")])
    (proof,) = witness.take([A])
    assert await held(witness, [proof]) == [True]
    await orders.update_one({"number": 1}, {"$set": {"sync.received.version": at(7)}})
    assert await held(witness, [proof]) == [False]


@pytest.mark.parametrize(
    "change",
    [
        {"$set": {"sync.received.taken": []}},
        {"$set": {"sync.received.taken.0.hash": "0"}},
        {"$set": {"sync.client": "other"}},
        {"$set": {"status": "broken"}},
        {"$set": {"number": 7}},
        {"$unset": {"sync": ""}},
        {"$unset": {"sync.received": ""}},
        {"$set": {"sync": 7}},
    ],
    ids=str,
)
async def test_a_document_that_would_take_the_record_again_breaks_it(witness, proofs, orders, change):
    await orders.update_one({"number": 2}, change)
    assert await held(witness, proofs) == [True, False]


async def test_a_removed_document_breaks_it_whatever_comes_instead(witness, proofs, sink, orders):
    document = await orders.find_one_and_delete({"number": 1})
    await orders.insert_many([{"_id": ObjectId()}, {"_id": str(document["_id"]), "number": 1}])
    assert await held(witness, proofs) == [False, True]
    await orders.delete_many({"number": 1})
    await orders.insert_one(document)
    assert await held(witness, proofs) == [True, True]


async def test_another_database_or_a_backup_from_before_breaks_it(witness, proofs, sink, orders):
    backup = await orders.find().to_list(None)
    await taken(sink, [envelope(order(2, updated=at(4), status=Status.COMPLETED), "b.ndjson:2")])
    (later,) = witness.take([B])
    assert await held(witness, [later, proofs[1]]) == [True, True]  # the older record is stale now
    await orders.drop()
    assert await held(witness, [later, *proofs]) == [False, False, False]
    await orders.insert_many(backup)
    assert await held(witness, [later, *proofs]) == [False, True, True]


@pytest.mark.parametrize("proof", [b"", b"a", b"\x91\x01", b"\xff" * 40])
async def test_what_is_no_proof_does_not_hold(witness, proofs, proof):
    assert await held(witness, [proof, *proofs]) == [False, True, True]


async def test_more_proofs_than_one_query_takes(witness, sink):
    items = [envelope(order(number), f"{number}.json") for number in range(2500)]
    await taken(sink, items)
    proofs = witness.take([item.locator for item in items])
    assert await held(witness, proofs) == [True] * 2500


async def test_a_document_as_it_was_inserted_need_not_be_understood_again(witness, sink, orders, monkeypatch):
    """The print of what was sent is that of what is stored; any change has it looked at closely."""
    await taken(sink, [envelope(order(number, updated=at(3)), f"{number}.json") for number in range(3)])
    proofs = witness.take([place(f"{number}.json") for number in range(3)])
    await orders.update_one({"number": 1}, {"$set": {"isSynced": False}})
    looked = []
    monkeypatch.setattr(
        "pipeline.tracos.witness.read_document", lambda *found: looked.append(1) or read_document(*found)
    )
    kept = await witness.hold(proofs)
    assert (looked, kept[0], kept[2]) == ([1], proofs[0], proofs[2])
    assert kept[1] not in (None, proofs[1])
    assert await witness.hold(kept) == kept
    assert looked == [1]


@pytest.mark.parametrize("odd", ["a text", 7, 2.5, None, {"a": 1}, datetime(2026, 1, 1, tzinfo=UTC), b"\0\xff", True])
async def test_a_document_of_any_key(witness, sink, orders, odd):
    await orders.insert_one({"_id": odd, "number": 1})
    await taken(sink, [envelope(order(1), "a.json")])
    (proof,) = witness.take([A])
    assert await held(witness, [proof]) == [True]
    await orders.delete_one({"_id": odd})
    assert await held(witness, [proof]) == [False]
