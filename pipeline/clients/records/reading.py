"""How one record is read, field by field: for a person who writes a table, or wonders what a record means."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from msgspec import Struct

from pipeline.errors import Reason
from pipeline.translation.paths import Path, getter, json_path
from pipeline.translation.statuses import reader_of
from pipeline.translation.table import At, StatusAt, Table

__all__ = ["FieldRead", "fields_read", "unmatched"]


class FieldRead(Struct, frozen=True, omit_defaults=True):
    """One field as a record says it."""

    field: str
    """By its name in a TracOS document; ``reference``, ``where`` for what is no field of it."""
    path: str
    said: Any = None
    """What is there; None: nothing, or null."""
    means: Any = None
    """What that is in TracOS; None where it says nothing."""
    reasons: tuple[str, ...] = ()
    """What is wrong with it."""


def fields_read(
    table: Table, data: Mapping[str, Any], zone: tzinfo, reasons: Sequence[Reason] = ()
) -> Iterator[FieldRead]:
    """All fields of ``table`` as ``data`` says them; ``reasons`` are what is wrong with the record."""
    for field, place in _places(table):
        yield _read(field, place, data, zone, reasons)
        if field == "number":
            yield _status(table.status, data, reasons)
    if table.deleted is not None:
        said, when = _plain(getter(table.deleted.path)(data)), table.deleted.when
        wrong = _of(table.deleted.path, reasons)
        yield _field("deleted", table.deleted.path, said, None if said is None else str(said) == str(when), wrong)
    for path, values in table.where.items():
        said = _plain(getter(path)(data))
        wrong = _of(path, reasons)
        if said is not None and str(said) not in map(str, values):
            wrong = (*wrong, f"not one of {', '.join(map(str, values))}: an order of others, which is skipped")
        yield _field("where", path, said, None, wrong)


def unmatched(fields: Sequence[FieldRead], reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Those ``reasons`` that none of the fields tells."""
    told = {said for field in fields for one in field.reasons for said in (one, f"{field.path}: {one}")}
    return tuple(reason for reason in reasons if str(reason) not in told)


def _places(table: Table) -> Iterator[tuple[str, At]]:
    places = {
        "number": table.id,
        "reference": table.reference,
        "title": table.title,
        "description": table.description,
        "createdAt": table.created_at,
        "updatedAt": table.updated_at,
        "deletedAt": table.deleted_at,
        **table.more,
    }
    yield from ((field, place) for field, place in places.items() if place is not None)


def _read(field: str, place: At, data: Mapping[str, Any], zone: tzinfo, reasons: Sequence[Reason]) -> FieldRead:
    said, means, wrong = getter(place.path)(data), None, _of(place.path, reasons)
    if isinstance(said, Reason):
        return _field(field, place.path, None, None, wrong or (str(said),))
    try:
        means = None if said is None else place.codec.read(said, zone)
    except ValueError as error:
        wrong = wrong or (str(error),)
    return _field(field, place.path, said, means, wrong)


def _status(place: StatusAt, data: Mapping[str, Any], reasons: Sequence[Reason]) -> FieldRead:
    status, is_deleted = reader_of(place)(data, [])
    around = _plain(getter(place.path)(data) if place.path else data)
    if place.form != "flags":
        said = around
    else:
        words = (*place.words, *place.deleted)
        said = {word: around[word] for word in words if word in around} if isinstance(around, Mapping) else around
    paths = [place.path, *((*place.path, word) for word in place.words)] if place.form == "flags" else [place.path]
    wrong = tuple(dict.fromkeys(message for path in paths for message in _of(path, reasons)))
    return _field("status", place.path, said, "deleted" if is_deleted else status, wrong)


def _field(field: str, path: Path, said: Any, means: Any, wrong: tuple[str, ...]) -> FieldRead:
    return FieldRead(field, json_path(path), said, means, wrong)


def _of(path: Path, reasons: Sequence[Reason]) -> tuple[str, ...]:
    shown = json_path(path)
    return tuple(reason.message for reason in reasons if reason.path == shown)


def _plain(said: Any) -> Any:
    return None if isinstance(said, Reason) else said
