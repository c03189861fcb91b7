"""The conformance suite: what every client must do, as tests; ``pytest --client my_module:client`` runs it.

In a suite of your own: ``from pipeline.testing.conformance import *``, and a fixture ``under_test`` that returns a
ClientUnderTest.
"""

import asyncio
import itertools
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings, Connector
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Fate, Outcome, Unreadable
from pipeline.errors import Rejected
from pipeline.orders.workorder import MERGED_FIELDS, Record, Status, WorkOrder, id_key
from pipeline.testing.hostile import (
    HOSTILE,
    IDS,
    MOMENTS,
    TEXTS,
    ZONES,
    with_other_values,
    without_meaning,
)
from pipeline.testing.kit import ClientUnderTest
from pipeline.testing.model import Model

__all__ = [
    "client",
    "records",
    "test_a_dry_run_changes_nothing",
    "test_a_page_that_fails_loses_and_doubles_nothing",
    "test_a_push_that_fails_is_told_once",
    "test_a_repeat_changes_nothing",
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
]


@pytest.fixture
def client(under_test: ClientUnderTest, tmp_path: Path) -> Iterator[Connector]:
    """The client, with a system of its own that shows nothing yet."""
    with under_test.made(tmp_path / "client") as (made, _):
        yield made


@pytest.fixture
def records(under_test: ClientUnderTest, client: Connector) -> list[Record]:
    """The samples in canonical words."""
    return [_read(client, raw) for raw in under_test.raw]


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
        again = _read(client, _whole(client, out.body, record))
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
            shown = _read(client, _whole(client, body, record)).order.status
            assert shown in (meant, None), f"{status} is told as what means {shown}"


def test_dates_keep_their_instants(client: Connector, records: list[Record]) -> None:
    for record in records:
        for moment in MOMENTS:
            for zone in ZONES:
                later = moment + timedelta(hours=1)
                order = replace(record.order, created_at=moment.astimezone(zone), updated_at=later.astimezone(zone))
                try:
                    out = client.from_record(replace(record, order=order))
                except Rejected:
                    continue
                again = _read(client, _whole(client, out.body, record)).order
                for time, meant in ((again.created_at, moment), (again.updated_at, later)):
                    assert time is None or _near(time, meant, record), f"{meant} comes back as {time}"


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
            record = _read(client, payload)
        except Rejected as error:
            assert error.reasons
        else:
            _assert_sane(record, payload)


def test_hostile_values_are_told_or_rejected_and_never_exceptions(client: Connector, records: list[Record]) -> None:
    record = records[0]
    for text in TEXTS:
        for known in (None, record.order.values):
            order = replace(record.order, title=text, description=text)
            _told(client, replace(record, order=order, known=known))
    names: dict[str, Any] = {}
    for order_id in IDS:
        out = _told(client, replace(record, external_id=order_id, order=replace(record.order, number=order_id)))
        if out is not None:
            assert names.setdefault(out.id, order_id) == order_id, "two orders under one id"
    _told(client, replace(record, layout="no such layout"))


def test_the_source_gives_each_place_once_and_forgets_what_is_settled(
    under_test: ClientUnderTest, tmp_path: Path
) -> None:
    """Whatever becomes of its items, each fate in turn."""

    async def everything(client: Connector) -> list[Locator]:
        given: list[Locator] = []
        async with client.source() as source:
            async for group in source.read():
                assert group, "an empty group: yield none"
                items = [item for item in group if isinstance(item, Envelope | Unreadable)]
                assert len(items) == len(group), "only Envelope and Unreadable: nothing vouches for what is spared"
                assert all(item.locator.place for item in items)
                fates = itertools.islice(itertools.cycle(Fate), len(given), None)
                await source.settle({item.locator: fate for item, fate in zip(items, fates, strict=False)})
                given += [item.locator for item in items]
            assert source.pending == 0, "it keeps what is settled"
        return given

    with under_test.made(tmp_path / "source") as (client, stand):
        stand.show(under_test.samples)
        given = asyncio.run(everything(client))
        assert len(set(given)) == len(given) == len(under_test.samples)


def test_a_repeat_changes_nothing(under_test: ClientUnderTest, tmp_path: Path) -> None:
    with under_test.made(tmp_path / "repeat") as (client, stand):
        stand.show(under_test.samples)
        model = Model()
        first = asyncio.run(model.pull(client))
        assert first.outcomes == {Outcome.CREATED: len(under_test.samples)}, model.dead.letters
        orders = model.orders
        again = asyncio.run(model.pull(client))
        assert set(again.outcomes) <= {Outcome.REPEAT}
        assert (model.orders, model.dead.letters) == (orders, [])


def test_the_order_in_which_records_come_does_not_matter(under_test: ClientUnderTest, tmp_path: Path) -> None:
    seen = []
    for name, samples in (("there", under_test.samples), ("back", list(reversed(under_test.samples)))):
        with under_test.made(tmp_path / name) as (client, stand):
            stand.show(samples)
            model = Model()
            asyncio.run(model.pull(client))
            seen.append(model.orders)
    assert seen[0] == seen[1]


def test_dead_ones_stay_with_the_others_and_are_held_the_next_time(under_test: ClientUnderTest, tmp_path: Path) -> None:
    bad = without_meaning(under_test.raw[0])
    with under_test.made(tmp_path / "dead") as (client, stand):
        stand.show([*under_test.samples[1:], bad])
        model = Model()
        report = asyncio.run(model.pull(client))
        assert report.dead.total() == 1, "the broken record is dead"
        assert report.outcomes.total() == len(under_test.samples) - 1, "and no other"
        again = asyncio.run(model.pull(client))
        assert (again.dead.total(), len(model.dead.letters)) == (0, 1)


def test_a_dry_run_changes_nothing(under_test: ClientUnderTest, tmp_path: Path) -> None:
    """Neither in the client's system nor in what is remembered, whatever its ends do where they are told something."""
    with under_test.made(tmp_path / "plan", dry=True) as (client, stand):
        stand.show(under_test.samples)
        before = _files(tmp_path), stand.told()
        asyncio.run(Model().pull(client))
        out = [told for record in _records(client, under_test) if (told := _told(client, record)) is not None]
        asyncio.run(Model.push(client, out))
        assert (_files(tmp_path), stand.told()) == before


def test_the_sink_is_idempotent(under_test: ClientUnderTest, tmp_path: Path) -> None:
    with under_test.made(tmp_path / "sink") as (client, stand):
        out = [told for record in _records(client, under_test) if (told := _told(client, record)) is not None]
        assert out, "none of the samples can be told as a new order"
        assert set(asyncio.run(Model.push(client, out))) == {Outcome.SENT}
        told = stand.told()
        assert set(asyncio.run(Model.push(client, out))) == {Outcome.SENT}
        assert stand.told() == told


@pytest.mark.parametrize(
    "fault", ["429", "500", "503", "drop", "torn", "garbled", "duplicate", "reorder", "early", "late"]
)
def test_a_page_that_fails_loses_and_doubles_nothing(under_test: ClientUnderTest, tmp_path: Path, fault: str) -> None:
    with under_test.made(tmp_path / "calm") as (client, stand):
        stand.show(under_test.samples)
        calm = Model()
        asyncio.run(calm.pull(client))
    with under_test.made(tmp_path / "fault") as (client, stand):
        if not stand.can_fail:
            pytest.skip("its stand has no faults")
        stand.show(under_test.samples)
        stand.fail("none", fault)
        model = Model()
        asyncio.run(model.pull(client))
        assert (model.orders, model.dead.letters) == (calm.orders, [])
        again = asyncio.run(model.pull(client))
        assert set(again.outcomes) <= {Outcome.REPEAT}, "what came once is new again"


@pytest.mark.parametrize("fault", ["429", "500", "503", "drop", "torn"])
def test_a_push_that_fails_is_told_once(under_test: ClientUnderTest, tmp_path: Path, fault: str) -> None:
    seen = []
    for faults in ((), (fault,)):
        with under_test.made(tmp_path / f"push{len(faults)}") as (client, stand):
            out = [told for record in _records(client, under_test) if (told := _told(client, record)) is not None]
            if faults and not stand.can_fail:
                pytest.skip("its stand has no faults")
            if faults:
                stand.fail(*faults)
            assert set(asyncio.run(Model.push(client, out))) == {Outcome.SENT}
            seen.append(stand.told())
    assert seen[0] == seen[1]


def _records(client: Connector, under_test: ClientUnderTest) -> list[Record]:
    return [_read(client, raw) for raw in under_test.raw]


def _read(client: Connector, raw: bytes) -> Record:
    return client.to_record(client.validate(client.parse(raw)))


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


def _told(client: Connector, record: Record) -> Any:
    """What is told of a record, None where that is rejected; anything else that is raised fails the test."""
    try:
        out = client.from_record(record)
    except Rejected as error:
        assert error.reasons
        return None
    assert isinstance(out.id, str)
    assert out.body
    return out


def _whole(client: Connector, body: bytes, record: Record) -> bytes:
    """``body`` as the client's system would show it: with the keys that only itself sets."""
    try:
        client.validate(client.parse(body))
    except Rejected:
        layout = client.layouts[record.layout]
        data = msgspec.json.decode(body)
        data.setdefault(layout.id_key, record.external_id)
        moment = record.order.created_at.isoformat() if record.order.created_at else None
        for key in layout.keys - data.keys():
            if key.lower().startswith("creat"):
                data[key] = moment
        return msgspec.json.encode(data)
    return body


def _near(time: datetime, moment: datetime, record: Record) -> bool:
    """The same instant, to the second at least; or a sample's own, where the client's system alone sets it."""
    return time in (moment, moment.replace(microsecond=0)) or time in (record.order.created_at, record.order.updated_at)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
