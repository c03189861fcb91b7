"""Look-ups decode each document by itself, whatever is in it; on a real MongoDB."""

from datetime import UTC, datetime

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from pipeline.tracos.found import GROUP_BYTES, Found, read_batch

STRANGE = [
    None,
    True,
    7,
    Int64(7),
    7.5,
    float("nan"),
    float("inf"),
    "text",
    "\0",
    b"bytes",
    Binary(b"abcde", 4),
    Binary(b"x", 9),
    Code("f()"),
    Code("f()", {"a": 1}),
    DBRef("orders", 1),
    Decimal128("1E6000"),
    Decimal128("NaN"),
    MaxKey(),
    MinKey(),
    ObjectId(),
    Regex("a", 2),
    Timestamp(2**32 - 1, 0),
    datetime(2026, 1, 1, tzinfo=UTC),
    DatetimeMS(2**62),
    DatetimeMS(-(2**62)),
    {},
    {"$ref": 1, "$id": 2},
    {"$set": {"": {}}},
    [],
    [[{"a": [1]}]],
]
"""A value of every BSON type, and then some."""


def spoilt(document, text=b"not so", by=b"caf\xe9\xff?"):
    """``document``, with bytes in it that no driver sends: inserted raw."""
    raw = bson.encode(document)
    assert text in raw
    return RawBSONDocument(raw.replace(text, by))


BROKEN = [
    ({"title": "not so"}, "$.title: not UTF-8"),
    ({"title": Code("not so")}, "$.title: not UTF-8"),
    ({"title": Regex("not so")}, "$.title: not UTF-8"),
    ({"sync": {"base": {"status": "not so"}}}, "$.sync.base.status: not UTF-8"),
    ({"sync": {"sent": [1, {"at": ["not so"]}]}}, "$.sync.sent[1].at[0]: not UTF-8"),
    ({"sync": {"not so": 1}}, "$.sync.caf\\xe9\\xff?: not UTF-8"),
    ({"title": Binary(b"\x08\0\0\0" + b"not so..", 5)}, "$.title: cannot be decoded"),
]


def broken(number, values, *, at):
    document = spoilt({"_id": at, "number": number, **values})
    if isinstance(values.get("title"), Binary):  # of the old kind, which has a length inside that lies
        return RawBSONDocument(document.raw.replace(b"\x05\x08\0\0\0caf", b"\x02\xff\0\0\0caf"))
    return document


@pytest.mark.parametrize(("values", "reason"), BROKEN)
async def test_what_cannot_be_decoded_is_told_and_concerns_its_own_document_alone(tracos, orders, values, reason):
    await orders.insert_many([{"_id": 1, "number": 1}, broken(2, values, at=2), {"_id": 3, "number": 3}])
    for look_up in (
        tracos._connection.find_numbers([1, 2, 3]),
        tracos._connection.find_ids([1, 2, 3]),
        tracos._connection.find_unsynced(1000).following(),
    ):
        found = {one.readable["_id"]: one for one in await look_up}
        assert (found[1].document, found[3].document) == ({"_id": 1, "number": 1}, {"_id": 3, "number": 3})
        assert found[2].document is None
        assert [str(one) for one in found[2].reasons] == [reason]
        assert found[2].numbers == [2]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: f"{STRANGE.index(value)}-{type(value).__name__}")
async def test_values_of_every_kind_are_read_in_every_place(tracos, orders, strange):
    may_be_id = not isinstance(strange, list | Regex | DBRef) and strange not in (
        {"$ref": 1, "$id": 2},
        {"$set": {"": {}}},
    )
    documents = [
        {"_id": strange if may_be_id else 1, "number": 1},
        {"_id": 2, "number": strange},
        {"_id": 3, "number": 3, "title": strange, "isSynced": strange, "sync": {"base": strange, "sent": [strange]}},
    ]
    documents = [one for one in documents if one.get("isSynced") is not True]
    await orders.insert_many(documents)
    found = await tracos._connection.find_unsynced(1000).following()
    assert {one.raw for one in found} == {bson.encode(one) for one in documents}
    assert len({one.key for one in found}) == len(documents)
    assert not any(one.reasons for one in found)
    for one in found:
        assert one.numbers is not None


@pytest.mark.parametrize(
    ("number", "orders_meant"),
    [
        (10, [10]),
        (Int64(10), [10]),
        (10.0, [10]),
        (Decimal128("10.00"), [10]),
        ("10", [10]),
        ("PO-1", ["PO-1"]),
        ([10, "x", None, 11.0], [10, "x", 11]),
        (10.5, []),
        (Decimal128("1E6000"), []),
        (Decimal128("NaN"), []),
        (float("inf"), []),
        (True, []),
        (None, []),
        ({"a": 10}, []),
    ],
)
async def test_a_document_is_found_for_the_orders_that_its_number_equals(tracos, orders, number, orders_meant):
    await orders.insert_one({"number": number})
    (found,) = await tracos._connection.find_unsynced(1000).following()
    assert found.numbers == orders_meant
    asked = [10, "10", "PO-1", "x", 11]
    assert bool(await tracos._connection.find_numbers(asked)) is bool(orders_meant)


async def test_ids_that_look_alike_are_told_apart_and_equal_ones_are_equal(tracos, orders):
    one = ObjectId()
    await orders.insert_many([{"_id": one, "number": 1}, {"_id": str(one), "number": 2}, {"_id": {"a": 1}}])
    found = await tracos._connection.find_unsynced(1000).following()
    again = await tracos._connection.find_ids([one, str(one), {"a": 1}])
    assert len({document.key for document in found}) == 3
    assert {document.key for document in found} == {document.key for document in again}


async def test_groups_are_bounded_by_number_and_by_bytes(tracos, orders):
    await orders.insert_many([{"number": number} for number in range(25)])
    await orders.insert_many([{"number": number, "title": "x" * (3 * 2**20)} for number in range(100, 107)])
    groups, sizes, seen = tracos._connection.find_unsynced(10), [], []
    while group := await groups.following():
        assert len(group) <= 10
        sizes.append(sum(len(found.raw) for found in group))
        seen += [found.document["number"] for found in group]
    assert seen == [*range(25), *range(100, 107)]
    assert max(sizes) <= GROUP_BYTES
    assert await groups.following() == []
    await groups.close()


def test_a_document_of_our_own_is_as_if_it_had_been_found():
    document = {"_id": 1, "number": "7", "sync": {"rev": 1}}
    assert read_batch(Found.of(document).raw) == [Found.of(document)]
    assert read_batch(b"") == []
