"""The journal of runs."""

from collections import Counter
from datetime import timedelta

import pytest
from msgspec.structs import replace

from pipeline.dataflow.run import Report
from pipeline.errors import Fatal
from pipeline.history.journal import Journal, counts, new_run, read_runs


def test_a_run_is_what_its_last_line_says_and_one_without_an_end_has_none(tmp_path):
    journal = Journal(tmp_path / "data" / "runs.jsonl")
    first, second = new_run("run"), new_run("retry")
    report = Report(flow="erp.inbound", received=3, outcomes=Counter(created=1), held=1, dead=Counter(parse=1))
    ended = replace(first, ended=first.began + timedelta(seconds=2), ending="finished", exit=0, flows=counts([report]))
    for run in (first, second, ended):
        journal.write(run)
    assert list(read_runs(tmp_path / "data" / "runs.jsonl")) == [ended, second]
    (flow,) = ended.flows
    assert (flow.client, flow.read, flow.outcomes, flow.still_dead, flow.dead) == (
        "erp",
        3,
        {"created": 1},
        1,
        {"parse": 1},
    )


DAMAGE = {
    "torn": b'{"run":',
    "not UTF-8": b"\xff",
    "not UTF-8 within": b'{"run": "\xff"}',
    "depth": b'{"a":' * 9999,
    "a time without a zone": b'{"run":"r","command":"","began":"2026-10-01T00:00:00"}',
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_line_that_is_torn_or_damaged_costs_only_itself(tmp_path, damage):
    path = tmp_path / "runs.jsonl"
    run = new_run("run")
    Journal(path).write(run)
    path.write_bytes(path.read_bytes() + damage)
    later = new_run("run")
    Journal(path).write(later)
    assert list(read_runs(path)) == [run, later]


def test_no_journal_has_no_runs_and_one_that_cannot_be_written_is_fatal(tmp_path):
    assert list(read_runs(tmp_path / "none")) == []
    with pytest.raises(Fatal, match="DATA_JOURNAL"):
        Journal(tmp_path).write(new_run("run"))


def test_a_line_of_a_version_that_counted_less_is_read(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text(
        '{"run":"20250101T000000Z-0001","command":"run","began":"2025-01-01T00:00:00Z","ending":"finished","exit":0,'
        '"flows":[{"flow":"erp.inbound","client":"erp","read":3}]}\n'
    )
    (run,) = read_runs(path)
    assert (run.exit, run.flows[0].read, run.gave_way) == (0, 3, {})
