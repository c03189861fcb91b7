"""The decision log's index: with it and without it the answers are the same, whatever becomes of it or of the log."""

import os
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.history import index
from pipeline.history.decisions import (
    MISSED,
    DecisionLog,
    Entry,
    index_decisions,
    names_of,
    read_decisions,
    read_order,
)
from pipeline.months import Months, index_of
from pipeline.orders.merge import Rule
from pipeline.orders.workorder import id_key

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(index, "BLOCK", 1000)


def entry(number, minute=0, **more):
    said = {"rule": Rule.INSERT, "client": "erp", "locator": "a.json"} | more
    return Entry(at=NOON + timedelta(minutes=minute), number=number, **said)


def slowly(path, number):
    """What ``read_order`` tells, found by reading everything."""
    keys, before = {id_key(number)}, None
    while keys != before:
        before = set(keys)
        for one in read_decisions(path):
            keys |= names_of(one) if names_of(one) & keys else set()
    return [one for one in read_decisions(path) if names_of(one) & keys], keys


async def filled(path, entries=200):
    chosen = random.Random(7)
    log = DecisionLog(path)
    for minute in range(entries):
        number = chosen.choice([*range(20), "A-7", "é" * 9])
        linked = {"id": f"there-{number}"} if chosen.random() < 0.2 else {}
        await log.record([entry(number, minute, **linked)])
    return log


def damages(path):
    """What may become of the log, or of the index beside it."""
    beside, body = index_of(path), index_of(path).read_bytes()
    lines = path.read_bytes().splitlines(keepends=True)
    yield "nothing", lambda: None
    yield "no index", beside.unlink
    yield "an empty one", lambda: beside.write_bytes(b"")
    yield "one that is torn", lambda: beside.write_bytes(body[: len(body) // 2])
    yield "its beginning is damaged", lambda: beside.write_bytes(b"x" + body[1:])
    yield "a byte of it is damaged", lambda: beside.write_bytes(body[:-9] + bytes([body[-9] ^ 1]) + body[-8:])
    yield "zeros at its end", lambda: beside.write_bytes(body + bytes(4096))
    yield "a folder in its place", lambda: (beside.unlink(), beside.mkdir())
    yield "a line of the log is gone", lambda: path.write_bytes(b"".join(lines[:40] + lines[41:]))
    yield "the log is shorter", lambda: path.write_bytes(b"".join(lines[:50]))
    yield "the log is another", lambda: path.write_bytes(b"".join(reversed(lines)))
    yield "the log is torn", lambda: path.write_bytes(b"".join(lines)[:-20])


@pytest.mark.parametrize("at", range(12))
async def test_an_order_is_found_whatever_becomes_of_the_log_and_its_index(tmp_path, at):
    path = tmp_path / "log"
    await filled(path)
    index_decisions(path)
    assert index_of(path).stat().st_mode & 0o777 == 0o600
    what, harm = list(damages(path))[at]
    harm()
    for number in (3, "3", "A-7", "é" * 9, "there-4", 99):
        assert read_order(path, number) == slowly(path, number), what
    if not index_of(path).is_dir():
        index_decisions(path)
        await DecisionLog(path).record([entry(3, 999), entry(5, 999, id=3)])
        assert read_order(path, 3) == slowly(path, 3)


async def test_no_more_is_read_than_what_may_be_about_the_order(tmp_path, monkeypatch):
    path = tmp_path / "log"
    log = DecisionLog(path)
    await log.record([entry(number, number) for number in range(10_000)])
    index_decisions(path)
    seen = []
    monkeypatch.setattr(index, "_block", lambda chunk, file, real=index._block: seen.append(chunk) or real(chunk, file))
    assert [one.at.minute for one in read_order(path, 5_000)[0]] == [5_000 % 60]
    assert len({chunk.start for chunk in seen}) <= 4  # the first, the last, and where it is, each asked for twice


async def test_an_order_is_followed_over_months_and_what_was_taken_back_is_not_told(tmp_path):
    path = tmp_path / "log.jsonl"
    log = DecisionLog(path, "r")
    for number in (1, 2):
        await log.record([entry(number, 1, id=f"there-{number}", run="r"), entry(number, 2, run="r")])
    os.utime(path, ((NOON - timedelta(days=31)).timestamp(),) * 2)
    await log.record([entry(1, 2, rule=MISSED, run="r"), entry(7, 3, id="there-1", run="r")])
    os.utime(path, (NOON.timestamp(),) * 2)
    await log.record([entry(2, 4)])
    assert len(Months(path).files()) == 3
    found, keys = read_order(path, "7")
    assert ([(one.number, one.at.minute) for one in found], keys) == ([(1, 1), (7, 3)], {1, 7, "there-1"})


async def test_the_index_is_not_made_again_where_nothing_new_is_told(tmp_path):
    path = tmp_path / "log"
    await filled(path)
    index_decisions(path)
    before = index_of(path).stat().st_mtime_ns
    index_decisions(path)
    await DecisionLog(path).record([entry(3)])
    index_decisions(path)
    assert index_of(path).stat().st_mtime_ns == before
    index_decisions(tmp_path / "none")
    assert not index_of(tmp_path / "none").exists()


@pytest.mark.parametrize("is_indexed", [True, False])
async def test_what_was_stale_before_is_not_told_again_however_much_was_told_since(tmp_path, is_indexed):
    path = tmp_path / "log"
    stale = [entry(number, number, rule=Rule.STALE, version=NOON) for number in range(30)]
    await DecisionLog(path).record(stale)
    await filled(path)
    if is_indexed:
        index_decisions(path)
    os.utime(path, (NOON.timestamp(),) * 2)
    body = path.read_bytes()
    for _ in range(2):
        await DecisionLog(path).record(stale)
        assert path.read_bytes() == body
    await DecisionLog(path).record([*stale, entry(31, rule=Rule.STALE)])
    assert len(path.read_bytes().splitlines()) == 1


LINES = st.one_of(
    st.binary(max_size=40).filter(lambda line: b"\n" not in line),
    st.builds(
        lambda number: b'{"number":%d,"at":"2026-10-01T00:00:00Z","client":"a","locator":"x","rule":"r"}' % number,
        st.integers(0, 9),
    ),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(LINES, max_size=30), max_size=4), st.integers(20, 400))
def test_whatever_lines_there_are_with_an_index_and_without_the_answer_is_the_same(tmp_path_factory, runs, size):
    path = tmp_path_factory.mktemp("log") / "log"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "BLOCK", size)
        for lines in runs:
            with path.open("ab") as log:
                log.writelines(line + b"\n" for line in lines)
            index_decisions(path)
            for number in range(10):
                assert read_order(path, number) == slowly(path, number)
