"""The conformance suite: what every client must do, as tests; ``pytest --client my_module:client`` runs it.

In a suite of your own: ``from pipeline.testing.conformance import *``, and a fixture ``under_test`` that returns a
ClientUnderTest.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings, Connector
from pipeline.errors import Rejected
from pipeline.orders.workorder import MERGED_FIELDS, Record, Status, WorkOrder, id_key
from pipeline.testing.conformance_ends import (
    test_a_dry_run_changes_nothing,
    test_a_repeat_changes_nothing,
    test_dead_ones_stay_with_the_others_and_are_held_the_next_time,
    test_the_order_in_which_records_come_does_not_matter,
    test_the_sink_is_idempotent,
    test_the_source_gives_each_place_once_and_forgets_what_is_settled,
    test_the_source_keeps_the_order_of_its_records,
    test_what_is_not_done_with_is_given_again,
    test_what_is_told_is_there,
    test_what_it_does_not_know_is_not_erased,
)
from pipeline.testing.conformance_faults import (
    test_a_page_that_fails_loses_and_doubles_nothing,
    test_a_push_that_fails_is_told_once,
    test_an_order_that_was_removed_there_is_not_said_to_be_sent,
)
from pipeline.testing.hostile import (
    HOSTILE,
    IDS,
    MOMENTS,
    TEXTS,
    ZONES,
    with_other_values,
)
from pipeline.testing.kit import ClientUnderTest
from pipeline.testing.local_times import FAR, LOCAL, TURNS, Said, has_local_times, meant_by, said_otherwise
from pipeline.testing.translated import is_near, read_one, records_of, told_of, whole

__all__ = [
    "client",
    "records",
    "test_a_dry_run_changes_nothing",
    "test_a_page_that_fails_loses_and_doubles_nothing",
    "test_a_push_that_fails_is_told_once",
    "test_a_repeat_changes_nothing",
    "test_an_order_that_was_removed_there_is_not_said_to_be_sent",
    "test_dates_keep_their_instants",
    "test_dead_ones_stay_with_the_others_and_are_held_the_next_time",
    "test_hostile_payloads_become_dead_letters_and_never_exceptions",
    "test_hostile_values_are_told_or_rejected_and_never_exceptions",
    "test_its_name_is_the_one_that_the_settings_gave",
    "test_samples_are_read",
    "test_samples_come_back_as_they_went",
    "test_statuses_are_total_and_exclusive",
    "test_the_order_in_which_records_come_does_not_matter",
    "test_the_sink_is_idempotent",
    "test_the_source_gives_each_place_once_and_forgets_what_is_settled",
    "test_the_source_keeps_the_order_of_its_records",
    "test_times_are_read_and_told_in_the_clients_zone",
    "test_what_is_not_done_with_is_given_again",
    "test_what_is_told_is_there",
    "test_what_it_does_not_know_is_not_erased",
]


@pytest.fixture
def client(under_test: ClientUnderTest, tmp_path: Path) -> Iterator[Connector]:
    """The client, with a system of its own that shows nothing yet."""
    with under_test.made(tmp_path / "client") as (made, _):
        yield made


@pytest.fixture
def records(under_test: ClientUnderTest, client: Connector) -> list[Record]:
    """The samples in canonical words."""
    return [read_one(client, raw) for raw in under_test.raw]


def test_its_name_is_the_one_that_the_settings_gave(client: Connector) -> None:
    assert client.name == "under-test"
    assert client.default_layout in client.layouts
    assert ClientSettings(name="x").timezone is not None


def test_samples_are_read(under_test: ClientUnderTest, client: Connector, records: list[Record]) -> None:
    assert under_test.samples, "give samples: records as the client's system shows them"
    for raw, record in zip(under_test.raw, records, strict=True):
        assert record.layout in client.layouts
        assert record.order.created_at is not None
        assert client.identify(raw) == record.external_id
    ids = [id_key(record.external_id) for record in records]
    assert len(set(ids)) == len(ids), "give each sample an id of its own"


def test_samples_come_back_as_they_went(client: Connector, records: list[Record]) -> None:
    for record in records:
        try:
            out = client.from_record(record)
        except Rejected:
            continue  # an order may be past what a new one may begin as
        again = read_one(client, whole(client, out.body, record))
        project = client.layouts[record.layout].project
        before, after = project(record.order.values), project(again.order.values)
        for field in MERGED_FIELDS:
            assert getattr(after, field) in (getattr(before, field), None), field
        assert id_key(again.external_id) == id_key(record.external_id)


def test_statuses_are_total_and_exclusive(client: Connector, records: list[Record]) -> None:
    """Every status can be told, or is rejected with a reason; different ones are told apart, or mean one."""
    for record in records:
        if record.order.deleted:
            continue
        project = client.layouts[record.layout].project
        told: dict[bytes, Status | None] = {}
        for status in Status:
            order = replace(record.order, status=status)
            meant = project(order.values).status
            assert project(replace(order.values, status=meant)).status == meant, "projecting twice says something else"
            try:
                body = client.from_record(replace(record, order=order)).body
            except Rejected as error:
                assert str(error)
                continue
            assert told.setdefault(body, meant) == meant, f"{status} and another are told alike, and mean different"
            shown = read_one(client, whole(client, body, record)).order.status
            assert shown in (meant, None), f"{status} is told as what means {shown}"


def test_dates_keep_their_instants(client: Connector, records: list[Record]) -> None:
    for record in records:
        for moment in MOMENTS:
            for zone in ZONES:
                _tell_and_read(client, record, moment.astimezone(zone))


@pytest.mark.parametrize("zone", FAR)
def test_times_are_read_and_told_in_the_clients_zone(under_test: ClientUnderTest, tmp_path: Path, zone: str) -> None:
    """A time without a zone is one of the client's; what cannot be told exactly is rejected, and nothing told wrong."""
    place = ZoneInfo(zone)
    with (
        under_test.made(tmp_path / "zone", timezone=place) as (client, _),
        under_test.made(tmp_path / "utc") as (elsewhere, _),
    ):
        assert client.timezone == place
        for raw in under_test.raw:
            for local in LOCAL:
                for said in said_otherwise(raw, local):
                    _assert_read_in(client, said, place)
            if has_local_times(raw):
                moved = [(here, there) for here, there in zip(_times(client, raw), _times(elsewhere, raw), strict=True)]
                theirs = [here for here, there in moved if here and there and here in meant_by(there, place)]
                assert theirs, f"{raw!r} is read in UTC"
                assert all(here in theirs or here == there for here, there in moved), f"{raw!r} is read in another zone"
        told = sum(
            _tell_and_read(client, record, moment) for record in records_of(client, under_test) for moment in TURNS
        )
        assert told, "no time at all can be told"


def test_hostile_payloads_become_dead_letters_and_never_exceptions(
    under_test: ClientUnderTest, client: Connector
) -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    payloads = [*HOSTILE]
    for raw in under_test.raw:
        payloads += [raw[:cut] for cut in range(0, len(raw), max(1, len(raw) // 20))]
        for _ in range(50):
            broken = bytearray(raw)
            broken[chance.randrange(len(raw))] = chance.randrange(256)
            payloads.append(bytes(broken))
        payloads += with_other_values(raw)
    for payload in payloads:
        client.identify(payload)
        try:
            record = read_one(client, payload)
        except Rejected as error:
            assert error.reasons
        else:
            _assert_sane(record, payload)
            told = client.identify(payload)
            assert told is not None, f"nobody can tell whose it is: {payload!r}"
            assert id_key(told) == id_key(record.external_id), f"told to be {told!r}: {payload!r}"


def test_hostile_values_are_told_or_rejected_and_never_exceptions(client: Connector, records: list[Record]) -> None:
    record = records[0]
    for text in TEXTS:
        for known in (None, record.order.values):
            order = replace(record.order, title=text, description=text)
            told_of(client, replace(record, order=order, known=known))
    names: dict[str, Any] = {}
    for order_id in IDS:
        out = told_of(client, replace(record, external_id=order_id, order=replace(record.order, number=order_id)))
        if out is not None:
            assert names.setdefault(out.id, order_id) == order_id, "two orders under one id"
    told_of(client, replace(record, layout="no such layout"))


def _assert_sane(record: Record, payload: bytes) -> None:
    """Only what MongoDB can hold, in the types that are declared."""
    order = record.order
    times = (order.created_at, order.updated_at, order.deleted_at)
    assert all(time is None or time.tzinfo is not None for time in times), f"a time without a zone, of {payload!r}"
    try:
        again = msgspec.convert(msgspec.to_builtins(order, builtin_types=(datetime,)), WorkOrder, strict=True)
        msgspec.json.encode(again)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise AssertionError(f"{payload[:100]!r} passes, and says what cannot be: {error}") from error


def _assert_read_in(client: Connector, said: Said, zone: tzinfo) -> None:
    try:
        in_utc, in_another, here = (_times(client, raw) for raw in (said.utc, said.other, said.local))
    except Rejected:
        return
    for plain, other, local in zip(in_utc, in_another, here, strict=True):
        if plain is not None and plain != other:
            assert local in meant_by(plain, zone), f"{said.local!r} is read as {local}"


def _times(client: Connector, raw: bytes) -> tuple[datetime | None, ...]:
    order = read_one(client, raw).order
    return order.created_at, order.updated_at, order.deleted_at


def _tell_and_read(client: Connector, record: Record, moment: datetime) -> bool:
    """Whether the times can be told; asserts that they are read back as they were."""
    later = moment + timedelta(hours=1)
    order = replace(record.order, created_at=moment, updated_at=later)
    told = told_of(client, replace(record, order=order))
    if told is None:
        return False
    again = read_one(client, whole(client, told.body, record)).order
    for time, meant in ((again.created_at, moment), (again.updated_at, later)):
        assert time is None or is_near(time, meant, record), f"{meant} comes back as {time}"
    return True
