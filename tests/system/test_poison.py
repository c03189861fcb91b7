"""The law of poison: one odd value among others costs its own item; the next run is idle."""

import os

import msgspec
import pytest
from bson import Decimal128, Int64, MaxKey, Regex
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from tests.tracos.test_found import STRANGE

GOOD = {"status": "NEW", "createdAt": "2026-10-01", "title": "Pump"}
COUNT = 20


def raw(**fields):
    return msgspec.json.encode({"id": 7, **GOOD} | fields)


POISON = {
    "a lone surrogate": raw(title="X").replace(b'"X"', b'"\\ud800"'),
    "a lone surrogate as the id": raw(id="X").replace(b'"X"', b'"\\udfff"'),
    "a lone surrogate in a key": raw().replace(b"{", b'{"\\ud800": 1, ', 1),
    "a number that no integer holds": raw(id="X").replace(b'"X"', b"1" + b"0" * 400),
    "a number that no double holds": raw(id="X").replace(b'"X"', b"1e999"),
    "depth": raw(title="X").replace(b'"X"', b"[" * 100_000 + b"]" * 100_000),
    "bytes that are no UTF-8": raw(title="X").replace(b'"X"', b'"\xff\xfe"'),
    "a date beyond the years": raw(updatedAt="99999-01-01T00:00:00Z"),
    "an id of control characters": raw(id="\x00\x1b[2J"),
    "nine megabytes": raw(title="x" * 9_000_000),
}
NAMES = [
    b"caf\xe9.json",
    b"new\nline.json",
    b"\x1b[2J.json",
    b"%E9.json",
    b"a" * 250 + b".json",
    "\u202e.json".encode(),
]
DOCUMENTS = {
    "a number for a title": {"title": 7},
    "a regular expression for a status": {"status": Regex("x")},
    "the largest key as a time": {"updatedAt": MaxKey()},
    "a decimal as an order's part of ours": {"sync": Decimal128("1")},
    "a list of lists": {"description": [[]]},
    "an empty text as a number": {"number": ""},
}


def check_idle(plant):
    before = plant.state()
    out, _ = plant.run()
    assert "created" not in out
    assert "sent" not in out
    assert plant.state() == before


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
@pytest.mark.parametrize("together", [True, False], ids=["in one file", "a file each"])
def test_what_a_client_sends(plant, poison, together):
    records = [msgspec.json.encode({"id": 100 + number, **GOOD}) for number in range(COUNT)]
    records.insert(COUNT // 2, poison)
    if together:
        plant.put("all.ndjson", b"\n".join(records))
    else:
        for number, record in enumerate(records):
            plant.put(f"{number}.json", record)
    plant.run()
    passed = {number for number in plant.documents() if number != 7}
    assert passed == set(range(100, 100 + COUNT))
    assert len(plant.letters()) + (7 in plant.documents()) == 1
    check_idle(plant)


def test_names_of_files(plant):
    for number, name in enumerate(NAMES):
        for body, folder in ((raw(id=number), b"good-" + name[:200] + b".json"), (b"{", name)):
            path = os.path.join(os.fsencode(plant.inbound), folder)  # noqa: PTH118 - bytes
            plant.inbound.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:  # noqa: PTH123 - bytes
                file.write(body)
            os.utime(path, (1_760_000_000 + number,) * 2)
    out, err = plant.run()
    assert f"{len(NAMES)} created · {len(NAMES)} dead-lettered" in out
    assert all(line.isprintable() for line in err.splitlines())
    check_idle(plant)


@pytest.mark.parametrize("odd", DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_of_others(plant, odd):
    """Also where the client sends a record of that very order."""
    plant.orders.insert_many([{"number": number, "title": "t", "status": "created"} for number in range(COUNT)])
    plant.orders.insert_one({"number": 7_000, "title": "t", "status": "created", "createdAt": "2026-10-01"} | odd)
    plant.put("7000.json", raw(id=7_000))
    for number in range(100, 100 + COUNT):
        plant.put(f"{number}.json", raw(id=number))
    out, _ = plant.run()
    assert f"{COUNT + (odd.get('number') == '')} created" in out
    assert len(list(plant.outbound.glob("*.json"))) == 0  # none of them has a date of creation
    check_idle(plant)


def test_a_text_of_a_document_that_is_no_utf_8(plant):
    plant.orders = plant.orders.with_options(CodecOptions(unicode_decode_error_handler="replace"))
    bad = b"\x02title\x00\x03\x00\x00\x00\xff\xfe\x00"
    body = b"\x10number\x00\x07\x00\x00\x00" + bad
    plant.orders.insert_one(RawBSONDocument((len(body) + 5).to_bytes(4, "little") + body + b"\x00"))
    for number in (7, *range(100, 100 + COUNT)):
        plant.put(f"{number}.json", raw(id=number))
    out, _ = plant.run()
    assert f"{COUNT} created · 1 dead-lettered" in out
    assert "1 read   1 dead-lettered" in out
    check_idle(plant)


@pytest.mark.slow
@pytest.mark.parametrize(
    "field", ["_id", "number", "title", "status", "createdAt", "deleted", "isSynced", "sync", "other"]
)
def test_documents_with_a_value_of_every_bson_type(plant, field):
    """Each is sent, or is a letter, or, with a mark of its own, is left; and what is good is sent."""
    plant.orders = plant.orders.with_options(CodecOptions(document_class=RawBSONDocument))  # NaN is not itself
    good = [{"number": f"G-{number}", "status": "created", "createdAt": "2026-10-01"} for number in range(COUNT)]
    twins = (Int64, Decimal128) if field in {"_id", "number"} else ()  # of numbers that are there already
    values = [value for value in STRANGE if not isinstance(value, twins)]
    odd = [{**good[0], "number": f"B-{number}", field: value} for number, value in enumerate(values)]
    if field == "_id":
        odd = [one for one in odd if not isinstance(one["_id"], list | Regex)]  # no server takes them
        odd = [one for one in odd if not isinstance(one["_id"], dict) or not any("$" in key for key in one["_id"])]
    plant.orders.insert_many([*good, *odd])
    plant.run()
    sent = {name.removesuffix(".json") for name in plant.sent()}
    assert {one["number"] for one in good} <= sent
    settled = plant.orders.count_documents({"isSynced": True})
    assert settled + len(plant.letters()) == len(good) + len(odd)
    check_idle(plant)
