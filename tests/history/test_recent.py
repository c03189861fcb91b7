"""What is read for one look is bounded: the newest conflicts by the index, the newest runs from the journal's end."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from pipeline.history import conflicts, index, journal
from pipeline.history.conflicts import newest_conflicts, read_conflicts
from pipeline.history.decisions import MISSED, RESTORED, Change, Entry, index_decisions
from pipeline.history.journal import Journal, Run, recent_runs
from pipeline.months import index_of
from pipeline.orders.merge import Lost, Rule

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def entry(number, *, lost=(), rule=Rule.THREE_WAY, changes=()):
    lost = tuple(Lost(field=field, side="client", value="theirs", kept="ours", because="newer") for field in lost)
    at = NOON + timedelta(minutes=number)
    return Entry(at=at, run="r", client="erp", number=number, locator="a.json", rule=rule, changes=changes, lost=lost)


def written(path, entries, mode="wb"):
    with path.open(mode) as file:
        file.write(msgspec.json.Encoder().encode_lines(entries))


@pytest.fixture(params=["indexed", "not indexed"])
def log(tmp_path, monkeypatch, request):
    """400 entries, of which each 40th has a value that gave way."""
    monkeypatch.setattr(index, "BLOCK", 1000)
    path = tmp_path / "decisions.jsonl"
    written(path, [entry(number, lost=["title"] if number % 40 == 0 else []) for number in range(400)])
    if request.param == "indexed":
        index_decisions(path)
    return path


class TestNewestConflicts:
    @pytest.mark.parametrize("count", [1, 3, 9, 10, 11, 100])
    def test_they_are_the_first_of_all(self, log, count):
        every = read_conflicts(log)
        assert newest_conflicts(log, count) == (every[:count], count >= len(every))

    def test_what_was_set_again_and_what_was_taken_back_is_seen(self, log):
        taken_back = entry(1390, lost=["status"])
        again = entry(360, rule=RESTORED, changes=[Change("title", "ours", "theirs")])
        written(log, [taken_back, msgspec.structs.replace(taken_back, rule=MISSED), again], "ab")
        found, _ = newest_conflicts(log, 3)
        assert found == read_conflicts(log)[:3]
        assert [(one.number, one.restored is not None) for one in found] == [(360, True), (320, False), (280, False)]

    def test_earlier_months_are_read_where_the_newest_has_too_few(self, log):
        log.rename(log.with_name("decisions-2026-09.jsonl"))
        if index_of(log).exists():
            index_of(log).rename(index_of(log.with_name("decisions-2026-09.jsonl")))
        written(log, [entry(1000, lost=["title"])])
        assert [one.number for one in newest_conflicts(log, 3)[0]] == [1000, 360, 320]

    def test_where_too_much_is_not_indexed_there_are_fewer_and_it_says_so(self, tmp_path, monkeypatch):
        monkeypatch.setattr(conflicts, "READ_AT_ONCE", 2000)
        path = tmp_path / "decisions.jsonl"
        written(path, [entry(number, lost=["title"]) for number in range(100)])
        found, is_all = newest_conflicts(path, 50)
        assert found == read_conflicts(path)[: len(found)]
        assert (0 < len(found) < 50, is_all) == (True, False)

    def test_without_a_log_there_are_none(self, tmp_path):
        assert newest_conflicts(tmp_path / "none.jsonl", 5) == ([], True)


class TestRecentRuns:
    def test_those_since_a_time_each_as_its_last_line_says(self, tmp_path):
        path = tmp_path / "runs.jsonl"
        old, new = (
            Run(run=name, command="run", began=NOON + timedelta(days=day)) for name, day in (("a", 0), ("b", 5))
        )
        ended = msgspec.structs.replace(new, ended=new.began, ending="finished", exit=0)
        for one in (old, new, ended):
            Journal(path).write(one)
        assert recent_runs(path, NOON + timedelta(days=1)) == ([ended], True)

    def test_no_more_than_the_end_is_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(journal, "RECENT_BYTES", 500)
        path = tmp_path / "runs.jsonl"
        runs = [Run(run=f"{number:03}", command="run", began=NOON) for number in range(100)]
        for one in runs:
            Journal(path).write(one)
        found, is_all = recent_runs(path, NOON)
        assert found == runs[-len(found) :]
        assert (0 < len(found) < 10, is_all) == (True, False)

    def test_without_a_journal_there_are_none(self, tmp_path):
        assert recent_runs(tmp_path / "runs.jsonl", NOON) == ([], True)

    @pytest.mark.parametrize(
        ("seconds", "told", "is_under_way"),
        [(4, None, True), (60, None, False), (3600, 3590, True), (3600, 3000, False)],
    )
    def test_a_run_is_under_way_as_long_as_it_tells_of_itself(self, seconds, told, is_under_way):
        run = Run(run="a", command="run", began=NOON, told=None if told is None else NOON + timedelta(seconds=told))
        assert run.is_under_way(NOON + timedelta(seconds=seconds)) is is_under_way
        ended = msgspec.structs.replace(run, ended=NOON)
        assert not ended.is_under_way(NOON + timedelta(seconds=seconds))
