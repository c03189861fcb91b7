"""A retry works on the letters that are there when it has them, and says what became of the others."""

import pytest

from pipeline.deadletters import DeadLetterOffice
from pipeline.history.journal import Journal, new_run, read_runs
from pipeline.service.replay import Retry
from pipeline.service.run import Runner
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings


@pytest.fixture
def config(plant):
    data = plant.home / "data"
    return Settings(
        mongo_uri=plant.environ["MONGO_URI"],
        mongo_database=plant.environ["MONGO_DATABASE"],
        data_inbound_dir=data / "inbound",
        data_outbound_dir=data / "outbound",
        data_dead_letter_dir=data / "dead-letter",
        data_decision_log=data / "decisions.jsonl",
        data_journal=data / "runs.jsonl",
        data_state_dir=data / "state",
    )


def retried(config, work):
    record = new_run("retry")
    ended = Runner(Sessions(config, run=record.run), work, record, Journal(config.data_journal)).to_the_end()
    return ended, work.told(report for reports in ended.reports.values() for report in reports)


def test_letters_that_were_closed_meanwhile_are_told(plant, config):
    for number in range(3):
        plant.put(f"{number}.json", b"{" + b" " * number)
    (plant.inbound / "9.json").mkdir()
    plant.command("run")
    office = DeadLetterOffice(config.data_dead_letter_dir)
    work = Retry(office.root, office.find())
    for filed in [filed for filed in office.find() if filed.letter.locator in {"1.json", "9.json"}]:
        office.discard(filed, "meanwhile")
    ended, told = retried(config, work)
    assert (told.tried, told.failed, told.released, told.closed) == (2, 2, 0, 2)
    assert (ended.exit, ended.record.ending) == (3, "finished")
    assert len(list(office.find())) == 2


def test_a_letter_is_tried_as_it_is_when_its_turn_comes(plant, config):
    plant.put("7.json", b"{")
    plant.command("run")
    office = DeadLetterOffice(config.data_dead_letter_dir)
    work = Retry(office.root, office.find())
    office.mend(next(office.find()), '{"id": 7, "status": "NEW", "createdAt": "2026-10-01"}')
    assert retried(config, work)[1].passed == 1
    assert list(plant.documents()) == [7]


@pytest.mark.parametrize("folder", ["backup", "erp_json.inbound.bak", "erp_json.sideways", "gone.inbound"])
def test_letters_in_a_folder_of_nobody_are_told_and_left(plant, config, folder):
    plant.put("7.json", b"{")
    plant.command("run")
    office = DeadLetterOffice(config.data_dead_letter_dir)
    (office.root / "erp_json.inbound").rename(office.root / folder)
    before = [filed.path.read_bytes() for filed in office.find()]
    ended, told = retried(config, Retry(office.root, office.find()))
    assert (told.tried, ended.exit) == (0, 2)
    assert "the settings have no such client" in ended.record.error
    assert [filed.path.read_bytes() for filed in office.find()] == before
    assert [run.exit for run in read_runs(config.data_journal)] == [0, 2]
