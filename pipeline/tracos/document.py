"""A TracOS document and the canonical work order: reading one, and the writes that turn one into the other.

Documents made by others have fields missing, and dates as ISO strings or as BSON dates. Both are read; a document's own
kind of date is kept; unknown fields are never touched.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from bson import Int64
from msgspec.structs import replace

from pipeline.errors import Reason, Rejected
from pipeline.orders.memory import SyncState, said
from pipeline.orders.merge import Current
from pipeline.orders.terms import Terms
from pipeline.orders.workorder import INT64, ExternalId, Kind, Record, Status, Value, WorkOrder, id_key, with_values
from pipeline.tracos.operations import MISSING, REV
from pipeline.translation.ids import show
from pipeline.translation.times import format_time, parse_time

__all__ = [
    "FIELDS",
    "READ",
    "changes",
    "guard",
    "guard_rev",
    "identify",
    "original",
    "read_document",
    "stored",
    "synced_fields",
    "to_record",
]

Document = Mapping[str, Any]

FIELDS: Final = (
    "number",
    "title",
    "description",
    "status",
    "createdAt",
    "updatedAt",
    "deleted",
    "deletedAt",
    "isSynced",
)
"""What a write is guarded by, beside ``sync.rev``."""

READ: Final = (*FIELDS, "syncedAt", "sync")
"""What is read of every document, beside the fields that a client's layouts have more."""

_ENCODE: Final = msgspec.json.Encoder(enc_hook=str).encode

_OURS: Final = frozenset({str, bool, int, float, datetime, type(None)})
"""What can be told of in JSON, beside what holds it."""

# Tuples: to write ``str | datetime`` where it is asked makes a new object each time, and takes four times as long.
_DATES: Final = (str, datetime)
_AS_IT_IS: Final = (bool, str, float)

_TIMES: Final = ("createdAt", "updatedAt", "deletedAt")

_STATUSES: Final = {status.value: status for status in Status}


def read_document(document: Document, terms: Terms) -> Current:
    """What a document says; raises Rejected, with all reasons, where it cannot be understood.

    Also rejected: one whose ``sync`` part belongs to another client or, with shared ids, names another order than its
    number.
    """
    reasons: list[Reason] = []
    number = _number(document.get("number"), reasons)
    title, description = _text(document, "title", reasons), _text(document, "description", reasons)
    created, updated, gone = [_time(document, key, reasons) for key in _TIMES]
    status = _status(document.get("status"), reasons)
    deleted = document.get("deleted")
    if deleted is not None and not isinstance(deleted, bool):
        reasons.append(Reason("not true or false", "$.deleted"))
    sync = _sync(document.get("sync"), reasons)
    more = {key: _more(document, key, kind, reasons) for key, kind in terms.fields.items()} if terms.fields else {}
    if sync is not None and sync.client != terms.client:
        reasons.append(Reason(f"belongs to the client {show(sync.client)}, not to {terms.client!r}", "$.sync.client"))
    if sync is not None and terms.ids == "shared" and sync.id is not None and id_key(sync.id) != id_key(number):
        reasons.append(Reason("names another order than $.number; set right whichever is wrong", "$.sync.id"))
    if reasons:
        raise Rejected(*reasons)
    order = WorkOrder(
        number=number,
        title=title,
        description=description,
        status=status,
        created_at=created,
        updated_at=updated,
        deleted=bool(deleted),
        deleted_at=gone,
        more={key: value for key, value in more.items() if value is not None},
    )
    return Current(order=order, sync=sync)


def to_record(order: WorkOrder, sync: SyncState | None, terms: Terms, *, is_new_intent: bool = False) -> Record:
    """The record to hand over: in the layout that the order came in, else in the client's own for new ones."""
    if sync is None:
        return Record(
            order=order, external_id=order.number, layout=terms.default_layout, is_linked=terms.ids == "shared"
        )
    last = sync.last_sent
    known = last.values if last and last.state != "doubted" else sync.base  # of what is told once more it shows base
    intent = sync.intent if sync.id is None else None  # of a linked one it says only that the client was told once
    return Record(
        order=order,
        external_id=order.number if sync.id is None else sync.id,
        layout=sync.layout,
        known=known and with_values(known, sync.echoes),
        edit=sync.rev,
        is_linked=sync.id is not None or terms.ids == "shared",
        intent=intent and replace(intent, is_old=not is_new_intent, is_edited=intent.said != said(order.values)),
    )


def changes(document: Document, before: WorkOrder, after: WorkOrder) -> dict[str, Any]:
    """The mapped fields in which ``after`` differs from ``before``, as values to set."""
    sets: dict[str, Any] = {}
    if after.title != before.title:
        sets["title"] = after.title
    if after.description != before.description:
        sets["description"] = after.description
    if after.status != before.status:
        sets["status"] = after.status and after.status.value
    if after.deleted != before.deleted:
        sets["deleted"] = after.deleted
    if after.deleted_at != before.deleted_at:
        sets["deletedAt"] = _date(document, "deletedAt", after.deleted_at)
    if after.updated_at != before.updated_at:
        sets["updatedAt"] = _date(document, "updatedAt", after.updated_at)
    for field, value in after.more.items():
        if value != before.more.get(field):
            sets[field] = _date(document, field, value) if isinstance(value, datetime) else value
    return sets


def synced_fields(document: Document, sync: SyncState, at: datetime, *, is_synced: bool | None) -> dict[str, Any]:
    """Our bookkeeping as values to set; ``syncedAt`` keeps when ``isSynced`` was last set to true."""
    sets: dict[str, Any] = {"sync": stored(sync)}
    if is_synced is not None:
        sets["isSynced"] = is_synced
    if is_synced:
        sets["syncedAt"] = _date(document, "syncedAt", at)
    return sets


def stored(sync: SyncState) -> dict[str, Any]:
    """Our part of a document as MongoDB keeps it, its times as BSON dates."""
    builtins: dict[str, Any] = msgspec.to_builtins(sync, builtin_types=(datetime,))
    for rare in ("echoes", "intent", "passed"):
        if not builtins[rare]:
            del builtins[rare]
    return builtins


def guard(document: Document, more: Iterable[str] = ()) -> dict[str, Any]:
    """What the document must still be, as it was read; with ``more`` fields than every one has."""
    return {field: document.get(field, MISSING) for field in (*FIELDS, *more)} | guard_rev(document)


def guard_rev(document: Document) -> dict[str, Any]:
    """The same of our own part alone."""
    sync = document.get("sync")
    return {"_id": document["_id"], REV: sync.get("rev", MISSING) if isinstance(sync, Mapping) else MISSING}


def original(document: Document, more: Iterable[str] = ()) -> bytes:
    """The mapped fields as JSON bytes, for a dead letter; the same bytes as long as the document says the same."""
    said = {field: document[field] for field in ("_id", *FIELDS, *more) if field in document}
    if "number" in said:
        said["number"] = _in_its_kind(said["number"])
    return _ENCODE(said)


def identify(raw: bytes) -> ExternalId | None:
    """The number in the bytes that ``original`` made."""
    number = msgspec.json.decode(raw).get("number")
    if isinstance(number, float) and number.is_integer() and abs(number) < 2**53:
        return int(number)
    return number if isinstance(number, int | str) and not isinstance(number, bool) else None


def _in_its_kind(number: Any) -> Any:
    """A number for JSON: an integer stays one, a text stays one, and nothing else looks like either."""
    if isinstance(number, _AS_IT_IS) or number is None:
        return number
    return int(number) if isinstance(number, int) else {type(number).__name__: str(number)}


def _number(value: Any, reasons: list[Reason]) -> ExternalId:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # MongoDB shells write whole numbers as doubles
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if type(value) is str and value:
        return value
    reasons.append(Reason("missing" if value is None else "not an integer or a non-empty text", "$.number"))
    return ""


def _text(document: Document, key: str, reasons: list[Reason]) -> str | None:
    value = document.get(key)
    if value is None or type(value) is str:
        return value
    reasons.append(Reason("not a text", f"$.{key}"))
    return None


def _time(document: Document, key: str, reasons: list[Reason]) -> datetime | None:
    value = document.get(key)
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if type(value) is str:
        try:
            return parse_time(value, UTC)
        except ValueError as error:
            reasons.append(Reason(str(error), f"$.{key}"))
            return None
    reasons.append(Reason("not a date between the years 1 and 9999, nor a text", f"$.{key}"))
    return None


def _more(document: Document, key: str, kind: Kind, reasons: list[Reason]) -> Value | None:
    """The value of a field of ``kind``."""
    value = document.get(key)
    if value is None:
        return None
    match kind:
        case Kind.TEXT:
            return _text(document, key, reasons)
        case Kind.TIME:
            return _time(document, key, reasons)
        case Kind.FLAG:
            if isinstance(value, bool):
                return value
            reasons.append(Reason("not true or false", f"$.{key}"))
        case Kind.NUMBER:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return int(value) if float(value).is_integer() and int(value) in INT64 else float(value)
            reasons.append(Reason("not a number", f"$.{key}"))
    return None


def _status(value: Any, reasons: list[Reason]) -> Status | None:
    if value is None:
        return None
    status = _STATUSES.get(value) if type(value) is str else None
    if status is None:
        reasons.append(Reason(f"unknown status; known: {', '.join(Status)}", "$.status"))
    return status


def _sync(value: Any, reasons: list[Reason]) -> SyncState | None:
    if value is None:
        return None
    try:
        sync = msgspec.convert(_plain(value), SyncState)
        if sync.passed:
            sync = replace(sync, passed=_typed(sync.passed))
    except msgspec.ValidationError as error:
        reasons.append(Reason(f"this part is ours and was changed by somebody: {error}", "$.sync"))
        return None
    values: list[Any] = []  # all that may be times
    for known in (sync.base, *[sent.values for sent in sync.sent]):
        values += (known.deleted_at, *known.more.values()) if known else ()
    for sent in sync.sent:
        values += (sent.version, sent.at)
    values += (sync.received.version,) if sync.received else ()
    values += (sync.intent.at,) if sync.intent else ()
    if any(isinstance(value, datetime) and value.tzinfo is None for value in values):
        reasons.append(Reason("this part is ours and was changed by somebody: a time without a zone", "$.sync"))
    return sync


def _typed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with the status as one: by field, a text does not say what it is."""
    if values.get("status") is None:
        return values
    return {**values, "status": msgspec.convert(values["status"], Status)}


def _plain(value: Any) -> Any:
    """The same in the kinds of values that our part has; raises msgspec.ValidationError for any other of BSON's."""
    kind = type(value)
    if kind in _OURS:
        return value
    if kind is dict:
        return {key: one if type(one) in _OURS else _plain(one) for key, one in value.items()}
    if kind is list or kind is tuple:  # a dry run keeps what was never stored
        return [one if type(one) in _OURS else _plain(one) for one in value]
    if kind is Int64:
        return int(value)
    raise msgspec.ValidationError(f"a value of the kind {kind.__name__}")


def _date(document: Document, field: str, moment: datetime | None) -> datetime | str | None:
    """``moment`` in the kind of date that the document uses: in this field, else in any, else an ISO string."""
    if moment is None:
        return None
    for key in (field, *_TIMES):
        if isinstance(own := document.get(key), _DATES):
            return moment if isinstance(own, datetime) else format_time(moment)
    return format_time(moment)
