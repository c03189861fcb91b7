"""The functions of a layout, made from its table once; what they do with a record is then a few look-ups."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from operator import attrgetter
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import Record, Status, Values, WorkOrder
from pipeline.translation.codecs import Anything, Text, Time
from pipeline.translation.json import dump
from pipeline.translation.layout import Layout
from pipeline.translation.paths import getter, json_path, missing, put
from pipeline.translation.statuses import meanings, putter_of, reader_of, step
from pipeline.translation.table import At, DeletedAt, Table
from pipeline.translation.times import can_be

__all__ = ["layout_of"]

Take: TypeAlias = Callable[[Mapping[str, Any], tzinfo, list[Reason]], Any]
Get: TypeAlias = Callable[[Any], Any]
Say: TypeAlias = Callable[[Record, dict[str, Any], list[Reason]], None]

SLACK: Final = timedelta(days=1)
"""How much earlier than its creation an order may be deleted: clocks differ, and a date alone is its midnight."""

NO_DATE: Final = "required, but what is there stands for no date (empty, before 1970, or after 2098)"
EMPTY: Final = "required, but empty"
BEFORE: Final = "before the order was created: no deletion; see which of the two dates is wrong"
UNTELLABLE: Final = "before 1970 or after 2098, which would be read as no date"
NO_MORE: Final[Mapping[str, Any]] = {}


def layout_of(table: Table, zone: tzinfo = UTC) -> Layout[Record]:
    """The layout that ``table`` describes; times without a zone of their own are told in ``zone``."""
    return Layout(
        name=table.name,
        id_key=".".join(table.id.path),
        id_path=table.id.path,
        keys=frozenset(table.keys),
        paths=table.paths,
        validate=_validate(table),
        to_record=lambda record: record,
        to_json=_to_json(table, zone),
        project=_project(table, zone),
        fields={name: place.codec.kind for name, place in table.more.items()},
        has_reference=table.reference is not None,
        where=table.where,
        code=repr(table),
        table=table,
    )


def _validate(table: Table) -> Callable[[Mapping[str, Any], tzinfo], Record]:
    name, is_deletable, is_date_alone = table.name, table.is_deletable, table.is_date_alone
    read_id, reference = (
        _taker(replace(table.id, required=True)),
        None if table.reference is None else _taker(table.reference),
    )
    title, description, status = _taker(table.title), _taker(table.description), reader_of(table.status)
    created, updated, deletion = _taker(table.created_at), _taker(table.updated_at), _taker(table.deleted_at)
    more = {field: _taker(place) for field, place in table.more.items()}
    void = None if table.deleted is None else _void(table.deleted)
    where = [_taker(At(path, Anything(), required=True)) for path in table.where]
    there = json_path(table.deleted_at.path) if table.deleted_at is not None else ""

    def validate(data: Mapping[str, Any], zone: tzinfo) -> Record:
        wrong: list[Reason] = []
        order_id = read_id(data, zone, wrong)
        meaning, deleted = status(data, wrong)
        created_at, updated_at = created(data, zone, wrong), updated(data, zone, wrong)
        deleted_at = deletion(data, zone, wrong)
        if is_date_alone:
            deleted = deleted_at is not None
            if deleted and created_at is not None and deleted_at + SLACK < created_at:
                wrong.append(Reason(BEFORE, there))
        else:
            deleted = (void is not None and void(data, wrong)) or deleted
            deleted_at = (deleted_at or updated_at) if deleted else None
        order = WorkOrder(
            number=order_id,
            title=title(data, zone, wrong),
            description=description(data, zone, wrong),
            status=meaning,
            created_at=created_at,
            updated_at=updated_at,
            deleted=deleted if is_deletable else None,
            deleted_at=deleted_at,
            more=_said({field: take(data, zone, wrong) for field, take in more.items()}) if more else NO_MORE,
        )
        ours = None if reference is None else reference(data, zone, wrong)
        for take in where if ours is None else ():  # what names our number is ours, also where it says nothing of whose
            take(data, zone, wrong)
        if wrong:
            raise Rejected(*dict.fromkeys(wrong))
        return Record(order=order, external_id=order_id, layout=name, reference=ours)

    return validate


def _taker(place: At | None) -> Take:
    """The function that reads one value, and notes what is wrong with it."""
    if place is None:
        return lambda data, zone, wrong: None
    get, read, is_required, path = getter(place.path), place.codec.read, place.required, place.path
    shown, key = json_path(path), path[0] if len(path) == 1 else None

    def take(data: Mapping[str, Any], zone: tzinfo, wrong: list[Reason]) -> Any:
        said = get(data) if key is None else data.get(key)
        if said is None:
            if is_required:
                wrong.append(Reason(missing(data, path), shown))
            return None
        try:
            value = read(said, zone)
        except ValueError as error:
            wrong.append(said if isinstance(said, Reason) else Reason(str(error), shown))
            return None
        if value is None and is_required:
            wrong.append(Reason(NO_DATE if isinstance(place.codec, Time) else EMPTY, shown))
        return value

    return take


def _void(place: DeletedAt) -> Callable[[Mapping[str, Any], list[Reason]], bool]:
    """The function that tells whether a value says that the order is deleted."""
    get, shown, when = getter(place.path), json_path(place.path), place.when

    def void(data: Mapping[str, Any], wrong: list[Reason]) -> bool:
        said = get(data)
        if said is None or (isinstance(when, bool) and said is (not when)):
            return False
        if isinstance(said, Reason) or isinstance(said, bool) is not isinstance(when, bool):
            wrong.append(said if isinstance(said, Reason) else Reason(f"not of the kind of {when!r}", shown))
            return False
        return str(said) == str(when)

    return void


def _to_json(table: Table, zone: tzinfo) -> Callable[[Record], bytes]:
    says = [_sayer(table, zone, *one) for one in _texts(table)]
    says.insert(0 if table.status.form == "flags" else len(says), _say_status(table))
    says += [_sayer(table, zone, *one) for one in _others(table)]
    is_own = table.id.told != "never"
    is_constant = tuple(table.constants.items())
    is_born = (*((path, values[0]) for path, values in table.where.items() if len(values) == 1), *is_constant)

    def to_json(record: Record) -> bytes:
        told: dict[str, Any] = {}
        wrong: list[Reason] = []
        if is_own and record.is_linked:
            put(told, table.id.path, table.id.codec.write(record.external_id, zone))
        if table.reference is not None and record.known is None:
            put(told, table.reference.path, table.reference.codec.write(record.order.number, zone))
        for say in says:
            say(record, told, wrong)
        if table.deleted is not None:
            put(told, table.deleted.path, table.deleted.when if record.order.deleted else table.deleted.otherwise)
        for path, value in is_born if record.known is None else is_constant:
            put(told, path, value)
        if wrong:
            raise Rejected(*wrong)
        return dump(told)

    return to_json


def _texts(table: Table) -> Iterator[tuple[str, At, Get]]:
    for field, place in (("title", table.title), ("description", table.description)):
        if place is not None:
            yield field, place, attrgetter(field)


def _others(table: Table) -> Iterator[tuple[str, At, Get]]:
    if table.created_at is not None:
        yield "createdAt", table.created_at, attrgetter("created_at")
    if table.updated_at is not None:
        yield "updatedAt", table.updated_at, attrgetter("updated_at")
    if table.deleted_at is not None:
        yield "deletedAt", table.deleted_at, _deletion if table.is_date_alone else _deleted_at
    for field, place in table.more.items():
        yield field, place, _more(field)


def _more(field: str) -> Get:
    return lambda values: values.more.get(field)


def _sayer(table: Table, zone: tzinfo, field: str, place: At, get: Get) -> Say:
    """The function that says one value of an order; ``field`` is its name in a TracOS document."""
    path, write, is_always = place.path, place.codec.write, place.told == "always"
    is_needed = place.required and is_always
    is_date_alone = field == "deletedAt" and table.is_date_alone
    is_lost = field in table.more or is_date_alone
    key = path[0] if len(path) == 1 else None

    def is_left_out(record: Record) -> bool:
        if place.told == "never" or record.known is None:
            return place.told == "never"
        if place.told == "create":
            return True
        return bool(_seen(place, get(record.known), zone) == _seen(place, get(record.order), zone))

    def say(record: Record, told: dict[str, Any], wrong: list[Reason]) -> None:
        value = get(record.order)
        if value is None:
            if is_date_alone and record.known is not None and record.known.deleted and record.order.deleted is False:
                put(told, path, None)  # the client would go on with the date that it has
            if is_needed:
                wrong.append(Reason("missing, and this layout requires one", f"$.{field}"))
            return
        if not is_always and is_left_out(record):
            return
        try:
            said = write(value, zone)
        except ValueError as error:
            wrong.append(Reason(str(error), f"$.{field}"))
            return
        if said is None:
            if is_needed or is_lost:
                wrong.append(Reason(f"{UNTELLABLE}{', and this layout requires one' * is_needed}", f"$.{field}"))
        elif key is not None:
            told[key] = said
        else:
            put(told, path, said)

    return say


def _say_status(table: Table) -> Say:
    place, known, word_of, shown = table.status, meanings(table.status), table.word_of, json_path(table.status.path)
    put_word = putter_of(place)

    def say(record: Record, told: dict[str, Any], wrong: list[Reason]) -> None:
        word = word_of(record.order)
        if word is None:
            wrong.append(Reason("missing, and this layout requires one", "$.status"))
            return
        try:
            said = step(place, known, None if record.known is None else word_of(record.known), word)
        except ValueError as error:
            wrong.append(Reason(str(error), shown))
        else:
            if said is not None:
                put_word(said, told)

    return say


def _deleted_at(order: WorkOrder) -> datetime | None:
    return order.deleted_at if order.deleted else None


def _deletion(order: WorkOrder) -> datetime | None:
    """When to tell that it was deleted: a time that is read as a deletion, whatever time is known."""
    if not order.deleted:
        return None
    known = [moment for moment in (order.deleted_at, order.updated_at) if moment is not None and can_be(moment)]
    created = order.created_at
    return known[0] if known and (created is None or known[0] + SLACK >= created) else created


def _project(table: Table, zone: tzinfo) -> Callable[[Values], Values]:
    """What is read of what is written: ``values`` as the client would show them.

    Where a word for deleted takes the place of the status, that stays what it would be: the client contradicts nothing.
    """
    words, seen_as, is_deletable = table.status.word_of, table.status.words, table.is_deletable
    is_plain = all(place is not None and place.codec == Text() for place in (table.title, table.description))
    if is_plain and table.is_date_alone and not table.more and table.status.is_exact:
        return lambda values: replace(values, more=NO_MORE) if values.more else values

    def project(values: Values) -> Values:
        status = Status.CANCELLED if values.deleted and not is_deletable else values.status
        more = {field: _seen(place, values.more.get(field), zone) for field, place in table.more.items()}
        return replace(
            values,
            title=_seen(table.title, values.title, zone),
            description=_seen(table.description, values.description, zone),
            status=None if status is None else seen_as[words[status]],
            deleted=values.deleted if is_deletable else None,
            deleted_at=values.deleted_at if is_deletable else None,
            more=_said(more),
        )

    return project


def _seen(place: At | None, value: Any, zone: tzinfo) -> Any:
    """A value as it is read once it has been told; as it is, where it cannot be told."""
    if place is None or value is None:
        return None
    try:
        told = place.codec.write(value, zone)
        return value if told is None else place.codec.read(told, zone)
    except ValueError:
        return value


def _said(values: dict[str, Any]) -> Mapping[str, Any]:
    return {field: value for field, value in values.items() if value is not None}
