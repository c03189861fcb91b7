"""What the tests of the conformance suite share: records read and told by a client, and what its system then holds."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from pipeline.clients.connector import Connector, Outgoing
from pipeline.errors import Rejected
from pipeline.orders.workorder import ExternalId, Intent, Record, id_key
from pipeline.testing.kit import ClientUnderTest
from pipeline.testing.stands import Stand

__all__ = [
    "born_of",
    "files_in",
    "is_near",
    "numbered",
    "read_one",
    "records_of",
    "shown_by",
    "told_again",
    "told_of",
    "whole",
]

THEN: Final = datetime(2026, 10, 1, tzinfo=UTC)


def records_of(client: Connector, under_test: ClientUnderTest) -> list[Record]:
    """The samples in canonical words."""
    return [read_one(client, raw) for raw in under_test.raw]


def read_one(client: Connector, raw: bytes) -> Record:
    """One record in canonical words; raises Rejected."""
    return client.to_record(client.validate(client.parse(raw)))


def told_of(client: Connector, record: Record) -> Outgoing | None:
    """What is told of a record, None where that is rejected; anything else that is raised fails the test."""
    try:
        out = client.from_record(record)
    except Rejected as error:
        assert error.reasons
        return None
    assert isinstance(out.id, str)
    assert out.body
    return out


def born_of(client: Connector, record: Record) -> Outgoing | None:
    """What is told of a record as of an order born in TracOS, None where that is rejected."""
    if client.ids == "client":
        intent = Intent(key=f"conformance of {record.external_id}", at=THEN)
        record = replace(record, is_linked=False, intent=intent)
    return told_of(client, record)


def told_again(told: Outgoing) -> Outgoing:
    """The same in the next run, where nobody knows what became of it."""
    return told if told.intent is None else replace(told, intent=replace(told.intent, is_old=True))


def whole(client: Connector, body: bytes, record: Record) -> bytes:
    """``body`` as the client's system would show it: with what a new order says, and the keys that only itself sets."""
    try:
        client.validate(client.parse(body))
    except Rejected:
        layout = client.layouts[record.layout]
        data = msgspec.json.decode(body)
        with suppress(Rejected):
            _fill(data, msgspec.json.decode(layout.to_json(replace(record, known=None))))
        _fill(data, _at(layout.id_path or (layout.id_key,), record.external_id))
        for path, values in layout.where.items():
            _fill(data, _at(path, values[0]))
        moment = record.order.created_at.isoformat() if record.order.created_at else None
        for path in layout.paths or [(key,) for key in layout.keys]:
            if path[-1].lower().startswith("creat"):
                _fill(data, _at(path, moment))
        return msgspec.json.encode(data)
    return body


def _at(path: Sequence[str], value: Any) -> dict[str, Any]:
    """An object with ``value`` at the end of ``path``."""
    return {path[0]: _at(path[1:], value) if len(path) > 1 else value}


def _fill(data: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add what ``data`` does not say."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(data.setdefault(key, {}), dict):
            _fill(data[key], value)
        else:
            data.setdefault(key, value)


def is_near(time: datetime, moment: datetime, record: Record) -> bool:
    """The same instant, to the minute at least; or a sample's own, where the client's system alone sets it."""
    second = moment.replace(microsecond=0)
    return time in (moment, second, second.replace(second=0), record.order.created_at, record.order.updated_at)


def shown_by(client: Connector, stand: Stand, records: Mapping[ExternalId, Record]) -> dict[ExternalId, Record]:
    """What the client's system holds of ``records`` (by ``id_key``), as the client reads it; by the same."""
    shown = {}
    for one in stand.told().values():
        raw = one if isinstance(one, bytes) else msgspec.json.encode(one)
        said = client.identify(raw)
        assert said is not None, f"what it was told has no id: {raw[:100]!r}"
        number = id_key(said)
        if number in records:
            shown[number] = read_one(client, whole(client, raw, records[number]))
    return shown


def numbered(external_id: ExternalId, number: int) -> ExternalId:
    """Another id of the same form: the digits that it ends in say ``number``."""
    if isinstance(external_id, int):
        return number
    head = external_id.rstrip("0123456789")
    return f"{head}{number:0{len(external_id) - len(head)}}"


def files_in(folder: Path, but: Path) -> dict[str, Any]:
    """All that lies in ``folder``, with what changes when somebody touches it, without what lies in ``but``."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        if path != but and but not in path.parents:
            state = path.lstat()
            is_file = path.is_file() and not path.is_symlink()
            found[str(path)] = (state.st_mode, state.st_ino, state.st_mtime_ns, path.read_bytes() if is_file else b"")
    return found
