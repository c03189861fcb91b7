"""The part of the conformance suite that is about a client's two ends, and what they do to its system."""

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from pipeline.clients.connector import ClientSettings, Connector, Outgoing
from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Envelope, Fate, Outcome, Unreadable
from pipeline.dataflow.ports import NOTHING_IS_SURE, Witness
from pipeline.errors import Deferred
from pipeline.orders.workorder import Record, id_key
from pipeline.testing.hostile import without_meaning
from pipeline.testing.kit import ClientUnderTest
from pipeline.testing.model import Model
from pipeline.testing.telling import assert_said, see_told
from pipeline.testing.translated import (
    born_of,
    files_in,
    numbered,
    read_one,
    records_of,
    shown_by,
    told_again,
    told_of,
    whole,
)

MANY = 300
VERSIONS = 12
THEIRS = {"x_theirs_alone": "kept", "x_more_of_theirs": [{"a": 1}]}


class _EverythingIsSure(Witness):
    """Vouches for all that was delivered."""

    def attend(self) -> None:
        pass

    def take(self, locators: Sequence[Locator]) -> Sequence[bytes | None]:
        return [b"sure"] * len(locators)

    async def hold(self, proofs: Sequence[bytes]) -> Sequence[bytes | None]:
        return proofs


async def _everything(
    client: Connector, fates: Sequence[Fate] = (), witness: Witness = NOTHING_IS_SURE
) -> list[Envelope[bytes] | Unreadable]:
    """All that the source gives; its items meet with ``fates``, each in turn, or with none."""
    given: list[Envelope[bytes] | Unreadable] = []
    async with client.source(witness) as source:
        async for group in source.read():
            assert group, "an empty group: yield none"
            items = [item for item in group if isinstance(item, Envelope | Unreadable)]
            if fates:
                turn = itertools.islice(itertools.cycle(fates), len(given), None)
                await source.settle({item.locator: fate for item, fate in zip(items, turn, strict=False)})
            given += items
            if witness is NOTHING_IS_SURE:
                assert len(items) == len(group), "only Envelope and Unreadable: nothing vouches for what is spared"
        assert source.pending == (0 if fates else len(given)), "it keeps what is settled, or forgets what is not"
    return given


@pytest.mark.parametrize("first", Fate)
def test_the_source_gives_each_place_once_and_forgets_what_is_settled(
    under_test: ClientUnderTest, tmp_path: Path, first: Fate
) -> None:
    """Whatever becomes of its items, each fate in turn."""
    fates = [first, *(fate for fate in Fate if fate is not first)]
    with under_test.made(tmp_path / "source") as (client, stand):
        stand.show(under_test.samples)
        given = [item.locator for item in asyncio.run(_everything(client, fates))]
        assert all(locator.place for locator in given)
        assert len(set(given)) == len(given) == len(under_test.samples)


@pytest.mark.parametrize("fates", [(), (Fate.DEFERRED,)], ids=["never settled", "deferred"])
def test_what_is_not_done_with_is_given_again(
    under_test: ClientUnderTest, tmp_path: Path, fates: Sequence[Fate]
) -> None:
    """Also where the client may leave unread what was delivered."""
    with under_test.made(tmp_path / "again") as (client, stand):
        stand.show(under_test.samples)
        seen = [asyncio.run(_everything(client, fates, _EverythingIsSure())) for _ in range(2)]
        assert [item.locator for item in seen[0]] == [item.locator for item in seen[1]]
        assert len(seen[0]) == len(under_test.samples)


def test_the_source_keeps_the_order_of_its_records(under_test: ClientUnderTest, tmp_path: Path) -> None:
    """Of several versions of an order without a time of change, the one that was shown last counts."""
    with under_test.made(tmp_path / "order") as (client, stand):
        many = [whole(client, told.body, record) for record, told in _many(client, under_test)]
        stand.show(many)
        given = [item.raw for item in asyncio.run(_everything(client, (Fate.DELIVERED,)))]
        assert [client.identify(raw) for raw in given] == [client.identify(raw) for raw in many]
    with under_test.made(tmp_path / "versions") as (client, stand):
        record = next(record for record in records_of(client, under_test) if told_of(client, record))
        versions = []
        for number in range(VERSIONS):
            order = replace(record.order, title=f"version {number}", updated_at=None)
            told = told_of(client, replace(record, order=order))
            assert told is not None
            versions.append(whole(client, told.body, record))
        stand.show(versions)
        given = [item.raw for item in asyncio.run(_everything(client, (Fate.DELIVERED,)))]
        titles = [read_one(client, raw).order.title for raw in given]
        assert titles == [read_one(client, raw).order.title for raw in versions][-len(titles) :]
        model = Model()
        asyncio.run(model.pull(client))
        assert model.orders[id_key(record.external_id)].title == titles[-1]


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


def test_a_dry_run_changes_nothing(
    under_test: ClientUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the client's system nor beside it, whatever its ends do where they are told something.

    Its own state, which is a copy then, is its own to change.
    """
    for name, use in (("here", monkeypatch.chdir), ("temporary", lambda path: _be_temporary(monkeypatch, path))):
        (tmp_path / name).mkdir()
        use(tmp_path / name)
    seen: list[Any] = []

    def connect(settings: ClientSettings) -> Connector:
        seen.append(settings.state_dir)
        seen.append(files_in(tmp_path, settings.state_dir))
        return under_test.connect(settings)

    with replace(under_test, connect=connect).made(tmp_path / "plan", dry=True) as (client, stand):
        state, files = seen
        assert files_in(tmp_path, state) == files, "making the client changes something"
        stand.show(under_test.samples)
        files, before = files_in(tmp_path, state), (stand.told(), stand.asked())
        asyncio.run(Model().pull(client))
        out = [told for record in records_of(client, under_test) if (told := born_of(client, record)) is not None]
        asyncio.run(Model.push(client, out))
        assert (stand.told(), stand.asked()) == before
        now = files_in(tmp_path, state)
        changed = sorted(path for path in files.keys() | now.keys() if files.get(path) != now.get(path))
        assert not changed, f"a dry run changes {', '.join(changed)}"


def test_the_sink_is_idempotent(under_test: ClientUnderTest, tmp_path: Path) -> None:
    with under_test.made(tmp_path / "sink") as (client, stand):
        out = [told for record in records_of(client, under_test) if (told := born_of(client, record)) is not None]
        assert out, "none of the samples can be told as a new order"
        assert set(asyncio.run(Model.push(client, out))) == {Outcome.SENT}
        before = stand.told(), stand.applied()
        assert len(before[0]) == len(out), "it says SENT of what is not there"
        again = asyncio.run(Model.push(client, [told_again(one) for one in out]))
        assert all(
            one is Outcome.SENT or (told.intent and isinstance(one, Deferred))
            for one, told in zip(again, out, strict=True)
        )
        assert (stand.told(), stand.applied()) == before


def test_what_is_told_is_there(under_test: ClientUnderTest, tmp_path: Path) -> None:
    """Every single order that the sink says is SENT, with what was told of it, once, under the id that it says."""
    with under_test.made(tmp_path / "there") as (client, stand):
        see_told(client, stand, _many(client, under_test, born_of))


def test_what_it_does_not_know_is_not_erased(under_test: ClientUnderTest, tmp_path: Path) -> None:
    """An edit in TracOS changes what was edited, and nothing else that the client's system holds of the order."""
    with under_test.made(tmp_path / "erase") as (client, stand):
        stand.show([_with_theirs(client, raw) for raw in under_test.raw])
        asyncio.run(Model().pull(client))
        before = dict(stand.told())
        edits = {}
        for record in records_of(client, under_test):
            order = replace(record.order, title="edited")
            edit = replace(record, order=order, known=record.order.values, edit=1)
            if (told := told_of(client, edit)) is not None:
                edits[id_key(record.external_id)] = edit, told
        assert edits, "none of the samples can be edited"
        outcomes = asyncio.run(Model.push(client, [told for _, told in edits.values()]))
        assert set(outcomes) == {Outcome.SENT}, outcomes
        shown = shown_by(client, stand, {number: edit for number, (edit, _) in edits.items()})
        assert shown.keys() == edits.keys()
        for number, (edit, _) in edits.items():
            assert_said(client, edit, shown[number])
        known = {key for layout in client.layouts.values() for key in layout.keys}
        for name, one in stand.told().items():
            held, now = _json(before.get(name, {})), _json(one)
            for key in (held.keys() | now.keys()) - known:
                assert key not in held or now.get(key) == held[key], f"{key} is erased or changed"
                assert key in held or now[key] is not None, f"{key}, which it does not know, is told as nothing"


def _many(
    client: Connector, under_test: ClientUnderTest, tell: Callable[[Connector, Record], Outgoing | None] = told_of
) -> list[tuple[Record, Outgoing]]:
    """New orders like the samples, hundreds of them, and what is told of each."""
    able = [record for record in records_of(client, under_test) if tell(client, record) is not None]
    assert able, "none of the samples can be told as a new order"
    many = []
    for number, record in zip(range(1000, 1000 + MANY), itertools.cycle(able), strict=False):
        order_id = numbered(record.external_id, number)
        order = replace(record.order, number=order_id, title=f"order {number}")
        one = replace(record, external_id=order_id, order=order)
        if (told := tell(client, one)) is not None:
            many.append((one, told))
    return many


def _with_theirs(client: Connector, raw: bytes) -> Any:
    data = _json(raw)
    return {**data, **THEIRS} if data else raw


def _json(one: Any) -> dict[str, Any]:
    """The JSON object; empty where it is none."""
    if not isinstance(one, bytes):
        return dict(one)
    try:
        data = msgspec.json.decode(one)
    except msgspec.DecodeError:
        return {}
    return data if isinstance(data, dict) else {}


def _be_temporary(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(path))
