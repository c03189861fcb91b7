"""What a run keeps of the past: as much as the settings say, and nothing that an idle run adds."""

import os
from datetime import UTC, datetime

import pytest

from pipeline.errors import WrongSettings
from pipeline.history.index import BLOCK
from pipeline.months import index_of
from pipeline.service.keeping import tidy
from pipeline.service.settings import Settings, load

OLD = datetime(2024, 2, 15, tzinfo=UTC).timestamp()
LINE = b'{"at":"2024-02-15T12:00:00Z","client":"erp_json","number":%d,"locator":"a.json","rule":"insert"}\n'


def settings_in(tmp_path, **more):
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    return Settings(
        data_decision_log=data / "decisions.jsonl",
        data_journal=data / "runs.jsonl",
        data_dead_letter_dir=data / "dead-letter",
        **more,
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_log_and_the_journal_of_the_release_before_are_the_oldest_months(tmp_path):
    settings = settings_in(tmp_path, keep_days=36_500)
    for path in (settings.data_decision_log, settings.data_journal):
        path.write_bytes(b"{}\n")
        os.utime(path, (OLD, OLD))
    tidy(settings)
    assert names(tmp_path / "data") == ["decisions-2024-02.jsonl", "runs-2024-02.jsonl"]
    tidy(settings_in(tmp_path, keep_days=400))
    assert names(tmp_path / "data") == []


def test_of_too_much_the_oldest_goes_and_of_the_rest_there_is_an_index(tmp_path):
    settings = settings_in(tmp_path, keep_mb=1)
    log = settings.data_decision_log
    for month in ("01", "02", "03"):
        log.with_name(f"decisions-2026-{month}.jsonl").write_bytes(LINE % 1 * 5000)
    log.write_bytes(LINE % 7 * (2 * BLOCK // len(LINE)))
    tidy(settings)
    assert [path.name for path in sorted(log.parent.glob("*.jsonl")) if "2026-0" in path.name] == [
        "decisions-2026-03.jsonl"
    ]
    assert sum(path.stat().st_size for path in log.parent.glob("*.jsonl")) <= 1_000_000
    assert all(index_of(path).exists() for path in log.parent.glob("*.jsonl"))


def test_what_cannot_be_kept_small_is_told_and_stops_nothing(tmp_path, monkeypatch):
    from loguru import logger

    settings = settings_in(tmp_path)
    settings.data_journal.write_bytes(b"{}\n")
    os.utime(settings.data_journal, (OLD, OLD))
    monkeypatch.setattr(
        "pathlib.Path.rename", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    told = []
    handler = logger.add(told.append, format="{message}")
    tidy(settings)
    logger.remove(handler)
    assert [str(line) for line in told] == [
        f"{settings.data_journal} cannot be kept small (Permission denied): it grows; see its permissions\n"
    ]


def test_what_is_to_be_kept_is_a_number_of_days_and_a_name_is_nobody_elses(tmp_path):
    with pytest.raises(WrongSettings) as caught:
        load({"KEEP_DAYS": "0", "KEEP_MB": "much", "LETTERS_KEEP_DAYS": "400.5"}, tmp_path / ".env")
    assert [line.split(":")[0] for line in caught.value.problems] == ["KEEP_DAYS", "KEEP_MB", "LETTERS_KEEP_DAYS"]
    with pytest.raises(WrongSettings, match="DATA_JOURNAL: it has the name of an earlier month of DATA_DECISION_LOG"):
        load({"DATA_JOURNAL": "data/decisions-2026-10.jsonl"}, tmp_path / ".env")
    with pytest.raises(WrongSettings, match="DATA_DECISION_LOG: it has the name of an earlier month of DATA_JOURNAL"):
        load({"DATA_DECISION_LOG": "data/runs-2026-10.2.jsonl"}, tmp_path / ".env")


def test_an_idle_run_adds_no_line_whatever_lies_in_the_folders(plant):
    plant.put("new.json", {"id": 1, "status": "NEW", "createdAt": "2026-01-01", "updatedAt": "2026-02-02"})
    plant.command("run")
    plant.put("both.json", b'[{"id": 1, "status": "DONE", "createdAt": "2026-01-01", "updatedAt": "2026-01-02"}, {}]')
    plant.put("again.json", {"id": 1, "status": "NEW", "createdAt": "2026-01-01", "updatedAt": "2026-02-02"})
    (plant.inbound / "folder.json").mkdir()
    (plant.inbound / "empty.csv").touch()
    plant.orders.insert_one({"number": 9, "status": "strange", "createdAt": "2026-01-01"})
    plant.command("run")
    log = plant.home / "data/decisions.jsonl"
    os.utime(log, (OLD, OLD))
    plant.command("run", KEEP_DAYS=36500)
    before = plant.state()
    assert not log.exists()
    for _ in range(2):
        plant.command("run", KEEP_DAYS=36500)
        assert plant.state() == before
    assert plant.command("explain", "1").count("stale:") == 1
    plant.command("run", KEEP_DAYS=400)
    assert plant.command("explain", "1") == "nothing is known of order 1 in data/decisions.jsonl\n"
