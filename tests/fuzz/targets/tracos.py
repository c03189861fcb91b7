"""Documents that other programs have written, of every type that BSON has."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import bson
import msgspec
from pymongo.errors import AutoReconnect

from pipeline.cli.output import clean
from pipeline.errors import Rejected
from pipeline.orders.merge import decide, yielding
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import Kind, Record, WorkOrder
from pipeline.tracos.document import READ, changes, guard, identify, original, read_document, stored, to_record
from pipeline.tracos.found import Found, key_of, read_batch, split
from pipeline.tracos.limits import fault_of
from pipeline.tracos.reach import bad_certificate, why
from pipeline.tracos.restore import like
from pipeline.tracos.source import locator_of
from pipeline.tracos.verdicts import Refusal, judge, missing_right
from pipeline.tracos.witness import TracosWitness
from tests.fuzz.given import Given
from tests.fuzz.laws import law, see_line, see_reasons
from tests.fuzz.registry import target
from tests.fuzz.running import run
from tests.fuzz.targets.records import CLIENTS

FIELDS = {"note": Kind.TEXT, "weight": Kind.NUMBER, "isUrgent": Kind.FLAG, "due": Kind.TIME}
LAYOUTS = CLIENTS["erp_json"].layouts
TERMS = Terms(
    client="erp",
    projections={name: layout.project for name, layout in LAYOUTS.items()},
    default_layout="status_order",
    fields=FIELDS,
)
AT = datetime(2026, 10, 31, 12, tzinfo=UTC)
GOOD = {"_id": 1, "number": 7, "title": "Pump", "status": "created", "createdAt": "2026-10-01T00:00:00.000Z"}
SYNC = {"client": "erp", "id": 7, "layout": "status_order", "base": {"title": "Pump"}, "sent": [], "rev": 3}
SYNC |= {"passed": {"status": "completed"}}
SYNC_KEYS = ("client", "id", "layout", "base", "sent", "received", "rev", "echoes", "intent", "passed")


def _document(given: Given) -> dict[str, object]:
    document = dict(GOOD)
    for _ in range(1 + given.byte() % 4):
        document[given.pick((*READ, *FIELDS, "_id", "other"))] = given.bson()
    if given.flag():
        sync: dict[str, object] = dict(SYNC)
        for _ in range(given.byte() % 3):
            sync[given.pick(SYNC_KEYS)] = given.bson()
        document["sync"] = sync
    return document


@target(
    "document.values",
    bytes(range(90)),
    b"\x01\x0a\x07\x01\x01",
    bytes(range(0, 250, 5)),
    b"\x02\x0b\x0d\x01\x03",
    b"\xff" * 9,
)
def documents(data: bytes) -> None:
    """A document of any values is an order that can be told and merged, or Rejected with reasons that can be kept."""
    given = Given(data)
    document = _document(given)
    try:
        raw = bson.encode(document)
    except (bson.errors.BSONError, OverflowError, UnicodeEncodeError, ValueError, TypeError, RecursionError):
        return  # no document
    found = read_batch(raw)[0]
    see_found(found)
    if found.document is None:
        return
    try:
        current = read_document(found.document, TERMS)
    except Rejected as error:
        see_reasons(error.reasons)
        return
    order = yielding(current, TERMS)[0]
    guard(found.readable, FIELDS)
    record = to_record(order, current.sync, TERMS)
    law(identify(original(found.readable, FIELDS)) is not None, "an order that can be told has no number in its letter")
    try:
        CLIENTS["erp_json"].from_record(record)
    except Rejected as error:
        see_reasons(error.reasons)
    shown = Record(
        order=WorkOrder(
            number=order.number, title="New", status=None, created_at=AT, updated_at=AT, deleted=given.flag()
        ),
        external_id=order.number,
        layout=given.pick(tuple(LAYOUTS)),
    )
    fault_of(shown, AT)
    made = decide(shown, "a.json", current, terms=TERMS, arrival=(1, "a.json", 1))
    bson.encode({**changes(found.readable, current.order, made.order), "sync": stored(made.sync)})


def see_found(found: Found) -> None:
    """See that a document can be called by its name, be shown, and have its letter, whatever it holds."""
    see_reasons(found.reasons)
    key, numbers, linked = found.key, found.numbers, found.linked_to
    law(key is not None and isinstance(numbers, list), "a document has no key")
    law(linked is None or isinstance(linked, int | str), "an order's id is none")
    str(locator_of(found)).encode()
    letter = original(found.readable, FIELDS)
    law(letter == original(found.readable, FIELDS), "a letter is not the same each time")
    found_number = identify(letter)
    law(found_number is None or isinstance(found_number, int | str), "a number is none")


ONE = bson.encode(GOOD | {"sync": SYNC})


@target(
    "document.bytes",
    *(bson.encode({"title": value})[4:-1] for value in ("x", 7, None, {"a": [1]}, [{"b": "y"}], 1.5, AT, b"\0", True)),
    b"\x02title\0\x03\0\0\0\xff\xfe\0",
    b"\x03sync\0\x12\0\0\0\x02\xff\0\x05\0\0\0ab\xffd\0\0",
    b"\x0btitle\0\xff\0i\0",
)
def raw_documents(data: bytes) -> None:
    """An element of any bytes that a server can store costs its own document, and the others are read."""
    raw = _wrapped(b"\x10_id\0\x07\0\0\0\x10number\0\x09\0\0\0" + data)
    if not _is_well_formed(raw):
        return  # no server stores it
    batch = ONE + raw + ONE
    law(split(batch) == [ONE, raw, ONE], "documents come apart as others")
    found = read_batch(batch)
    law([one.raw for one in found] == [ONE, raw, ONE], "documents come apart as others")
    law(found[0].document is not None and found[2].document is not None, "an odd document costs others")
    for one in found:
        see_found(one)
    law(found[1].key == key_of(7), "a document's key is another")
    if found[1].document is not None:
        try:
            read_document(found[1].document, TERMS)
        except Rejected as error:
            see_reasons(error.reasons)


def _wrapped(elements: bytes) -> bytes:
    return (len(elements) + 5).to_bytes(4, "little") + elements + b"\0"


def _is_well_formed(raw: bytes) -> bool:
    """Whether a server could store these bytes: all lengths fit, whatever the texts are; looked at by itself."""
    try:
        _see_document(raw, 0, 0)
    except (ValueError, IndexError):
        return False
    return True


def _see_document(raw: bytes, at: int, depth: int) -> int:
    end = at + int.from_bytes(raw[at : at + 4], "little")
    if depth > 90 or end > len(raw) or end < at + 5 or raw[end - 1]:
        raise ValueError
    at += 4
    while at < end - 1:
        kind, at = raw[at], raw.index(0, at + 1) + 1
        at = _see_value(raw, kind, at, depth)
    if at != end - 1:
        raise ValueError
    return end


def _see_value(raw: bytes, kind: int, at: int, depth: int) -> int:
    plain = {
        0x01: 8,
        0x06: 0,
        0x07: 12,
        0x08: 1,
        0x09: 8,
        0x0A: 0,
        0x10: 4,
        0x11: 8,
        0x12: 8,
        0x13: 16,
        0x7F: 0,
        0xFF: 0,
    }
    size = int.from_bytes(raw[at : at + 4], "little")
    match kind:
        case 0x08 if raw[at] > 1:
            raise ValueError
        case 0x02 | 0x0D | 0x0E | 0x0C:
            if size < 1 or raw[at + 3 + size]:
                raise ValueError
            return at + 4 + size + (12 if kind == 0x0C else 0)
        case 0x03 | 0x04:
            return _see_document(raw, at, depth + 1)
        case 0x05:
            if raw[at + 4] == 2 and int.from_bytes(raw[at + 5 : at + 9], "little") != size - 4:
                raise ValueError
            return at + 5 + size
        case 0x0B:
            return raw.index(0, raw.index(0, at) + 1) + 1
        case 0x0F:
            text = int.from_bytes(raw[at + 4 : at + 8], "little")
            if text < 1 or raw[at + 7 + text] or _see_document(raw, at + 8 + text, depth + 1) != at + size:
                raise ValueError
            return at + size
    return at + plain[kind] if kind in plain else _none()


def _none() -> int:
    raise ValueError


class _Connection:
    """A server that has one document."""

    async def ride_out(self, work: Callable[[], Awaitable[Any]]) -> Any:
        return await work()

    async def raw(self, ids: Sequence[Any]) -> list[bytes]:
        bson.encode({"_id": {"$in": ids}})
        law(not any(isinstance(one, bson.Regex) for one in ids), "a look-up asks for a condition")
        return [KNOWN]


TAKEN = {"locator": "a.json", "hash": "h"}
KNOWN = bson.encode(GOOD | {"sync": {**SYNC, "received": {"version": AT, "hash": "h", "taken": [TAKEN]}}})
PROOF = [b"\x10\0\x01\0\0\0", "a.json", "h", AT, [1, "a.json", 1], b""]


@target(
    "state.proofs",
    msgspec.msgpack.encode(PROOF),
    msgspec.msgpack.encode([b"\x07\0" + bytes(11), *PROOF[1:]]),
    msgspec.msgpack.encode([b"\x0b\0a\0\0", *PROOF[1:]]),
    msgspec.msgpack.encode([b"\x03\0" + bson.encode({"$gt": 1}), *PROOF[1:]]),
    msgspec.msgpack.encode([*PROOF[:3], AT.replace(tzinfo=None), *PROOF[4:]]),
    *(b"\x91" * 3000, b"\xc1", b"", b"\x93\xc4\0\xa1\xff\xa0"),
    share=0.2,
)
def proofs(data: bytes) -> None:
    """A remembered proof holds, or does not; it never stops a run, and asks for documents by name alone."""
    witness = TracosWitness(_Connection(), TERMS)
    held = run(witness.hold([msgspec.msgpack.encode(PROOF), data]))
    law(len(held) == 2 and held[0] is not None, "a damaged proof costs others")


@target(
    "server.refusals",
    b'{"code": 11000, "keyPattern": {"number": 1}, "errmsg": "E11000 index: number_1 dup key: { number: 7 }"}',
    b'{"code": 121, "errInfo": {"details": {"operatorName": "$jsonSchema", "schemaRulesNotSatisfied": [{"operatorName":'
    b' "properties", "propertiesNotSatisfied": [{"propertyName": "title"}], "missingProperties": ["a"]}]}}}',
    b'{"code": 8000, "errmsg": "user is not allowed to do action [update] on [a.b]"}',
    b'{"code": 13, "errmsg": "not authorized on a to execute command { update: \\"b\\", x: 1 }"}',
    b'{"code": 121, "errInfo": {"details": {"operatorName": "$eq", "specifiedAs": {"x": 7}, "consideredValue": "s"}}}',
)
def refusals(data: bytes) -> None:
    """What a server says of a statement is a reason that can be kept, and a verdict."""
    try:
        error = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if not isinstance(error, dict) or type(error.setdefault("code", 0)) is not int:
        return  # no reply of a server
    info = error.get("errInfo", {})
    if not all(isinstance(one, dict) for one in (error.get("keyPattern", {}), info)):
        return
    message = str(error.get("errmsg", ""))
    see_reasons([Refusal.of(error).reason])
    judge(error["code"], message=message, alone=True)
    if (right := missing_right(message)) is not None:
        see_line(clean(right))
    for said in (message, str(info)):
        why(AutoReconnect(said), None)
        bad_certificate(AutoReconnect(said), None)


@target("document.restored", b'"2026-10-01T00:00:00.000Z"', b"7", b"1e300", b'"x"', b"null", b"true", b"{}", b'"5.0"')
def restored(data: bytes) -> None:
    """A value of the decision log becomes one of the kind that the document has, or stays as it is."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for own in (AT, "2026-10-01T00:00:00.000Z", "x", bson.Decimal128("5"), 1.5, 7, None, bson.Int64(5)):
        like(own, value)
