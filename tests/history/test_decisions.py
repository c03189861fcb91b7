"""The decision log."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.errors import Fatal
from pipeline.history.decisions import SENT, Change, DecisionLog, Entry, changed, read_decisions
from pipeline.orders.merge import Lost, Rule
from pipeline.orders.workorder import Status, WorkOrder

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def entry(number=1, at=NOON, **values):
    lost = Lost(field="title", value="ours", kept="theirs", side="tracos", because="newer")
    values = {"rule": Rule.THREE_WAY, "lost": (lost,)} | values
    return Entry(at=at, client="erp", number=number, locator="a.json", **values)


async def test_entries_are_appended_and_read_back(tmp_path):
    path = tmp_path / "a" / "decisions.jsonl"
    await DecisionLog(path).record([entry(1), entry("A-2", version=NOON)])
    await DecisionLog(path).record([entry(3)])
    assert list(read_decisions(path)) == [entry(1), entry("A-2", version=NOON), entry(3)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b'{"at":"2026-10-01T12:00:00Z","client":"erp","number":1,')


async def test_what_was_stale_before_is_not_written_again(tmp_path):
    path = tmp_path / "decisions.jsonl"
    for run in ("first", "second"):
        log = DecisionLog(path, run)
        await log.record([entry(1, run=run)])
        for hours in range(3):
            await log.record([entry(2, NOON + timedelta(hours=hours), run=run, rule=Rule.STALE)])
    assert [(found.number, found.run) for found in read_decisions(path)] == [(1, "first"), (2, "first"), (1, "second")]


async def test_nothing_is_made_where_there_is_nothing_to_say(tmp_path):
    await DecisionLog(tmp_path / "decisions.jsonl").record([])
    assert list(tmp_path.iterdir()) == []
    assert list(read_decisions(tmp_path / "decisions.jsonl")) == []


DAMAGE = {
    "torn": b'{"at": "2026-',
    "not UTF-8": b"\xff",
    "not UTF-8 within": b'{"rule":"missed", "\xff"}',
    "depth": b'{"a":' * 9999,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_a_line_that_is_torn_or_damaged_costs_only_itself(tmp_path, damage):
    path = tmp_path / "decisions.jsonl"
    await DecisionLog(path).record([entry(1)])
    path.write_bytes(path.read_bytes() + damage)
    await DecisionLog(path).record([entry(2)])
    assert [found.number for found in read_decisions(path)] == [1, 2]


async def test_a_log_that_cannot_be_written_is_fatal(tmp_path, monkeypatch):
    with pytest.raises(Fatal, match="DATA_DECISION_LOG"):
        await DecisionLog(tmp_path).record([entry()])
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(Fatal, match="No space left"):
        await DecisionLog(tmp_path / "decisions.jsonl").record([entry()])


async def test_the_rules_are_counted_and_only_what_was_kept_out_waits_for_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    log = DecisionLog(tmp_path / "decisions.jsonl")
    await log.record([entry(1, rule=Rule.INSERT, lost=()), entry(2, rule=SENT, lost=())])
    assert (log.rules, synced) == ({"insert": 1, "sent": 1}, [])
    await log.record([entry(3)])
    assert len(synced) == 1


def test_what_changed_is_told_field_by_field_and_not_deleted_is_nothing_new():
    before = WorkOrder(number=1, title="a", status=Status.CREATED, deleted=False)
    after = WorkOrder(number=1, title="b", status=Status.CREATED, deleted=True)
    assert changed(before, after) == (Change("title", "a", "b"), Change("deleted", False, True))
    assert changed(None, before) == (Change("title", None, "a"), Change("status", None, Status.CREATED))
