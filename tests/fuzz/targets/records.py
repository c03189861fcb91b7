"""Records of orders, of each kind of client: bytes to a canonical record, and what is told of it read again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings
from pipeline.clients.json_connector import JsonConnector
from pipeline.clients.records.drift import Watch
from pipeline.clients.records.reading import fields_read, unmatched
from pipeline.clients.records.shapes import named
from pipeline.clients.registry import find_client
from pipeline.clients.spelling import WrongTable, table_of
from pipeline.clients.watched import WatchedClient
from pipeline.errors import Reason, Rejected
from pipeline.orders.merge import record_hash
from pipeline.orders.workorder import INT64, Record, id_key
from pipeline.translation.engine import layout_of
from pipeline.translation.json import dump, encode
from tests.fuzz.given import Given
from tests.fuzz.laws import law, see_reasons, see_told
from tests.fuzz.registry import target

HTTP = {"url": "https://erp.example/api/orders"}
FOLDERS = {"inbound_dir": "in", "outbound_dir": "out"}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "erp_json": FOLDERS,
    "csv_folder": FOLDERS,
    "rest_json": HTTP,
    "sap_pm": HTTP,
    "maximo": HTTP | {"site": "BEDFORD", "reference": "externalrefid"},
    "dynamics_fs": HTTP,
}


def client_of(kind: str, **options: Any) -> JsonConnector:
    """A client of this kind."""
    settings = ClientSettings(name=kind, options={**OPTIONS[kind], **options}, state_dir=Path("/nowhere"))
    made = find_client(kind)(settings)
    if not isinstance(made, JsonConnector):
        raise TypeError(f"{kind} is of another make")
    return made


CLIENTS = {kind: client_of(kind) for kind in OPTIONS}


def see_record(client: JsonConnector, raw: bytes) -> Record | None:
    """The record in ``raw``; the laws of reading one, and of telling it again."""
    found = client.identify(raw)
    law(found is None or type(found) in (int, str), "an id is none")
    try:
        data = client.parse(raw)
        client.is_ours(data)
        record = client.to_record(client.validate(data))
    except Rejected as error:
        see_reasons(error.reasons)
        return None
    law(found is not None, "a good record has no id that can be read")
    law(id_key(found or 0) == id_key(record.external_id), "the id that is read is not the record's")
    law(not isinstance(record.external_id, int) or record.external_id in INT64, "an id is beyond 64 bits")
    str(record.external_id).encode()
    encode(record.order)
    record_hash(record)
    see_told_again(client, record)
    return record


def see_told_again(client: JsonConnector, record: Record) -> None:
    """See that what is told of a record is read as the same order."""
    try:
        body = client.from_record(replace(record, reference=None)).body
    except Rejected as error:
        see_reasons(error.reasons)
        return
    try:
        again = client.to_record(client.validate(client.parse(body)))
    except Rejected as error:
        see_told(error)
        ids = ("$.MaintenanceOrder", "$.wonum", "$.msdyn_workorderid")
        law(
            all(reason.path.startswith(ids) or "createdAt" not in body.decode() for reason in error.reasons), str(error)
        )
        return
    law(id_key(again.external_id) == id_key(record.external_id), "an order is told under another id")
    project = client.layouts[record.layout].project
    one, other = project(record.order.values), project(again.order.values)
    law((one.title, one.description) == (other.title, other.description), "a text is told as another")


@target(
    "record.erp_json",
    b'{"id": 7, "status": "NEW", "createdAt": "2026-10-01", "title": "Pump", "deletedAt": "2026-10-02T10:00:00Z"}',
    b'{"orderNo": 12, "creationDate": "2026-10-01T10:00:00.123Z", "isDone": true, "isActive": false, "summary": "x"}',
    b'{"id": "A-7", "status": "LOST", "createdAt": "x", "title": 7}',
    b'{"orderNo": "1", "isDone": true, "isDeleted": true, "lastUpdateDate": "2026-10-01"}',
    b'{"id": 1, "orderNo": 1}',
    b'{"id": 7, "status": "DONE", "createdAt": "2026-10-01", "updatedAt": "9999-12-31", "deletedAt": "0000-00-00"}',
    b'{"id": 7, "status": "NEW", "createdAt": "2026-10-01", "title": "\xff"}',
    b'\xef\xbb\xbf{"items": [{"id": 7, "status": "NEW", "createdAt": "2026-10-01"}]}',
)
def erp_json(data: bytes) -> None:
    """A record is an order that is told and read as the same, or Rejected with reasons that can be kept."""
    see_record(CLIENTS["erp_json"], data)


@target(
    "record.csv_folder",
    b"id,status,createdAt,title\r\n7,NEW,2026-10-01,Pump\r\n",
    b'id,status,createdAt,title,x\n"A,7",DONE,2026-10-01T10:00:00Z,"a\nb",y\n',
    b"id,status\n4.00012E+11,NEW\n",
    b'\xef\xbb\xbfID,Status,Created at\n="007",NEW,31.10.2026\n',
    b'id,status,createdAt\n1,NEW,"2026-10-01\n2,NEW,2026-10-02\n',
)
def csv_folder(data: bytes) -> None:
    """The same of a row of CSV."""
    see_record(CLIENTS["csv_folder"], data)


@target(
    "record.sap_pm",
    b'{"MaintenanceOrder": "4000123", "SystemStatus": "REL PCNF", "CreationDateTime": "/Date(1793450205000+0000)/"}',
    b'{"MaintenanceOrder": "1", "SystemStatusText": ["CRTD", "DLFL"], "CreationDateTime": "2026-10-01T10:00:00Z",'
    b' "MaintPriority": "2", "MaintOrdBasicStartDateTime": "/Date(-1)/", "MaintenanceOrderDesc": "Pump"}',
)
def sap_pm(data: bytes) -> None:
    """The same of SAP."""
    see_record(CLIENTS["sap_pm"], data)


@target(
    "record.maximo",
    b'{"wonum": "1001", "siteid": "BEDFORD", "status": "COMP", "reportdate": "2026-10-01T10:00:00+00:00",'
    b' "description": "Pump", "wopriority": 2, "changedate": "2026-10-02T10:00:00Z", "externalrefid": "7"}',
    b'{"spi:wonum": "1001", "siteid": "NASHUA"}',
)
def maximo(data: bytes) -> None:
    """The same of Maximo."""
    see_record(CLIENTS["maximo"], data)


@target(
    "record.dynamics_fs",
    b'{"msdyn_workorderid": "8a6f5b5e-0000-0000-0000-000000000001", "msdyn_systemstatus": 690970000,'
    b' "createdon": "2026-10-01T10:00:00Z", "modifiedon": "2026-10-02T10:00:00Z", "statecode": 0, "msdyn_name": "1"}',
)
def dynamics_fs(data: bytes) -> None:
    """The same of Dynamics."""
    see_record(CLIENTS["dynamics_fs"], data)


KEYS = tuple(dict.fromkeys(key for client in CLIENTS.values() for one in client.layouts.values() for key in one.keys))


@target(
    "record.values",
    bytes(range(60)),
    b"\x04\x01\x02\x03\x00\x05\x05\x06\x02",
    bytes(range(90, 200)),
    b"\0" * 20,
    share=0.5,
)
def values(data: bytes) -> None:
    """The same of any values at known keys; who watches the keys takes the same records."""
    given = Given(data)
    client = CLIENTS[given.pick(tuple(CLIENTS))]
    layout = given.pick(tuple(client.layouts.values()))
    said = {path[0]: given.json(2) for path in layout.paths}
    said |= {given.text(): given.json(2) for _ in range(given.byte() % 3)}
    names = {name: named(one.paths) for name, one in client.layouts.items()}
    watch = Watch(names, {}, thorough=True)
    watched = WatchedClient(client, lambda: watch, refuses=given.flag())
    outcomes = [_validated(one, said) for one in (client, watched)]
    law(outcomes[0] == outcomes[1] or outcomes[1] == "refused", "a watched client takes other records")
    for line in (line for drift in watch.ended("2026-10-31", is_whole=True, learns=True)[1] for line in drift.lines):
        law(line.isprintable(), "a key breaks the line")
    if layout.table is not None and client.name != "csv_folder":
        wrong = _reasons(client, said)
        fields = list(fields_read(layout.table, said, client.timezone, wrong))
        see_reasons(unmatched(fields, wrong))
    try:
        raw = dump(said)
    except (UnicodeEncodeError, OverflowError):
        return  # JSON cannot say it
    if client.name != "csv_folder":
        see_record(client, raw)


def _validated(client: Any, said: Any) -> Any:
    try:
        return client.to_record(client.validate(said))
    except Rejected as error:
        see_reasons(error.reasons)
        return "refused"


def _reasons(client: JsonConnector, said: Any) -> tuple[Reason, ...]:
    try:
        client.validate(said)
    except Rejected as error:
        return error.reasons
    return ()


TABLE_KEYS = ("id", "reference", "title", "description", "created_at", "updated_at", "deleted_at", "deleted")
WORDS = {"N": "created", "P": "pending", "I": "in_progress", "H": "on_hold", "D": "completed", "C": "cancelled"}


def _place(given: Given) -> Any:
    if given.flag():
        return given.pick(("id", "a", "a.b", "b", "c", "d", "e", "f.g", "", ".")) if given.flag() else given.json(2)
    keys = ("at", "kind", "format", "told", "required", "max", "when", "otherwise", "words", "true", "decimal_comma")
    said = ("a", "g", "text", "number", "%d.%m.%Y", "%Y", "changed", 40, True, WORDS, ["a", "b"])
    return {given.pick(keys): given.pick(said) if given.flag() else given.json(1) for _ in range(given.byte() % 5)} | (
        {"at": given.pick(("a", "h", "i.j"))} if given.flag() else {}
    )


@target(
    "table.spelling",
    bytes(range(200)),
    bytes(range(0, 250, 3)),
    b"\x01" * 60,
    b"\x02\x03" * 40,
    b"\x05" * 90,
    share=0.5,
)
def spelling(data: bytes) -> None:
    """A table that settings spell is made, and then reads any record, or is wrong for reasons of a line each."""
    given = Given(data)
    said: dict[str, Any] = {"id": "id", "status": {"at": "status", "words": dict(WORDS)}}
    for _ in range(given.byte() % 6):
        key = given.pick((*TABLE_KEYS, "status", "where", "fields", "constants", "nonsense"))
        match key:
            case "status":
                said["status"] = said["status"] | {
                    given.pick(("form", "tell", "steps", "first", "kind")): given.json(2)
                }
            case "where" | "constants":
                said[key] = {given.text(): given.json(1)}
            case "fields":
                said[key] = {given.pick(("prio", "site", given.text())): _place(given)}
            case _:
                said[key] = _place(given)
    is_row = given.byte() % 4 == 0
    try:
        table = table_of("own", said, is_row=is_row)
    except WrongTable as error:
        see_told(error)
        return
    layout = layout_of(table)
    record = {path[0]: given.json(2) for path in table.paths}
    try:
        made = layout.to_record(layout.validate({"id": 1, "status": "N"} | record, CLIENTS["erp_json"].timezone))
        again = msgspec.json.decode(layout.to_json(made))
        layout.project(made.order.values)
        layout.is_ours(again)
    except Rejected as error:
        see_reasons(error.reasons)
