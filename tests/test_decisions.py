"""The decision log."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.decisions import DecisionLog, Entry, read_decisions
from pipeline.errors import Fatal
from pipeline.merge import Lost, Rule

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def entry(number=1, at=NOON, **values):
    lost = Lost(field="title", value="ours", kept="theirs", side="tracos", because="newer")
    return Entry(at=at, client="erp", number=number, locator="a.json", rule=Rule.THREE_WAY, lost=(lost,), **values)


async def test_entries_are_appended_and_read_back(tmp_path):
    path = tmp_path / "a" / "decisions.jsonl"
    await DecisionLog(path).record([entry(1), entry("A-2", version=NOON)])
    await DecisionLog(path).record([entry(3)])
    assert list(read_decisions(path)) == [entry(1), entry("A-2", version=NOON), entry(3)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b'{"at":"2026-10-01T12:00:00.000Z","client":"erp","number":1,')


async def test_the_same_decision_is_not_written_again_by_this_or_the_next_run(tmp_path):
    path = tmp_path / "decisions.jsonl"
    for _ in range(2):
        log = DecisionLog(path)
        for hours in range(3):
            await log.record([entry(1, NOON + timedelta(hours=hours)), entry(2, NOON)])
    assert [found.number for found in read_decisions(path)] == [1, 2]


async def test_nothing_is_made_where_there_is_nothing_to_say(tmp_path):
    await DecisionLog(tmp_path / "decisions.jsonl").record([])
    assert list(tmp_path.iterdir()) == []
    assert list(read_decisions(tmp_path / "decisions.jsonl")) == []


async def test_a_line_torn_by_a_crash_costs_only_itself(tmp_path):
    path = tmp_path / "decisions.jsonl"
    await DecisionLog(path).record([entry(1)])
    path.write_bytes(path.read_bytes() + b'{"at": "2026-')
    await DecisionLog(path).record([entry(2)])
    assert [found.number for found in read_decisions(path)] == [1, 2]


async def test_a_log_that_cannot_be_written_is_fatal(tmp_path, monkeypatch):
    with pytest.raises(Fatal, match="DATA_DECISION_LOG"):
        await DecisionLog(tmp_path).record([entry()])
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(Fatal, match="No space left"):
        await DecisionLog(tmp_path / "decisions.jsonl").record([entry()])
