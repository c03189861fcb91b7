"""While a run is under way the journal tells how far it is; and what befell the clients is told at its end."""

import asyncio
import threading

import msgspec
import pytest

from pipeline.dataflow.ports import Progress
from pipeline.dataflow.run import Report
from pipeline.errors import Fatal
from pipeline.history.journal import Journal, Run, new_run, read_runs
from pipeline.service import run as running
from pipeline.service.run import Runner, Work
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings

NOTHING = Settings(mongo_uri="mongodb://127.0.0.1:1/")


class Waited(Journal):
    """Counts the lines that tell how far a run is; ``failing``: they cannot be written."""

    def __init__(self, path, *, failing=False):
        super().__init__(path)
        self.told, self.failing = threading.Semaphore(0), failing

    def write(self, run):
        try:
            if run.told and self.failing:
                raise Fatal("the disk is full")
            super().write(run)
        finally:
            if run.told:
                self.told.release()


class Waits(Work):
    """Reads seven, and waits until the journal was told of them ``times`` times; then it may fail."""

    def __init__(self, journal, times, error=None):
        self.journal, self.times, self.error = journal, times, error

    async def serve(self, session, uri, reports, stop):
        report = Report(flow="erp_json.inbound", received=7, progress=lambda: Progress(2, 9, "files"))
        reports.append(report)
        for _ in range(self.times):
            await asyncio.to_thread(self.journal.told.acquire)
        if self.error:
            raise self.error


def lines(path):
    return [msgspec.json.decode(line, type=Run) for line in path.read_bytes().splitlines()] if path.exists() else []


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "beat_seconds", lambda age: 0.01)
    return tmp_path / "runs.jsonl"


def test_each_line_tells_what_was_read_by_then_and_the_last_one_how_it_ended(path):
    journal = Waited(path)
    Runner(Sessions(NOTHING), Waits(journal, 2), new_run("run"), journal).to_the_end()
    first, *told, last = lines(path)
    assert (first.told, first.flows) == (None, ())
    assert [(one.told is not None, one.ended, one.flows[0].read) for one in told[:2]] == [(True, None, 7)] * 2
    assert (told[0].flows[0].done, told[0].flows[0].total, told[0].flows[0].unit) == (2, 9, "files")
    assert (last.told, last.ending, last.befell) == (None, "finished", {})
    assert (last.flows[0].done, last.flows[0].total) == (0, None)
    assert list(read_runs(path)) == [last]


async def test_a_pass_of_a_service_that_was_told_of_is_told_to_its_end_though_it_was_idle(path):
    journal = Waited(path)
    await Runner(Sessions(NOTHING), Waits(journal, 1), new_run("serve"), journal).within("")
    assert lines(path)[-1].ending == "finished"
    path.unlink()
    await Runner(Sessions(NOTHING), Waits(journal, 0), new_run("serve"), journal).within("")
    assert lines(path) == []


def test_what_befell_the_clients_is_in_the_journal(path):
    journal = Waited(path)
    Runner(Sessions(NOTHING), Waits(journal, 0, Fatal("the disk is full")), new_run("run"), journal).to_the_end()
    assert lines(path)[-1].befell == {"erp_json": "stopped"}


def test_a_journal_that_cannot_be_written_meanwhile_stops_nothing(path):
    journal = Waited(path, failing=True)
    Runner(Sessions(NOTHING), Waits(journal, 3), new_run("run"), journal).to_the_end()
    assert [one.ending for one in lines(path)] == ["", "finished"]
