"""One look costs little, however many letters, decisions and runs there are."""

import asyncio
import time

import msgspec
import pytest

from pipeline.deadletters import Letter
from pipeline.deadletters.letter import as_json, name_of
from pipeline.errors import Reason
from pipeline.history.decisions import index_decisions
from tests.deadletters.test_shelf import put
from tests.web.test_views import Page, entry, run

LETTERS, DECISIONS, RUNS = 30_000, 500_000, 60_000
PATHS = (
    "",
    "letters",
    "letters?reason=byte",
    "letters?page=500",
    "retry",
    "orders?number=77",
    "conflicts",
    "runs",
    "live",
)


def filled(page):
    """Many of everything; what gave way is rare and far back."""
    first = put(page.settings.data_dead_letter_dir, 0, "erp_json.inbound", client="erp_json")
    letter = msgspec.json.decode(first.read_bytes(), type=Letter)
    for number in range(1, LETTERS):
        where = msgspec.structs.replace(letter, locator=f"{number}.json", file=f"{number}.json")
        where = msgspec.structs.replace(where, reasons=(Reason(f"not JSON: at byte {number}"),))
        (first.parent / name_of(where.where, letter.raw)).write_bytes(as_json(where))
    encoder = msgspec.json.Encoder()
    page.settings.data_decision_log.parent.mkdir(exist_ok=True)
    with page.settings.data_decision_log.open("wb") as log:
        log.write(encoder.encode_lines([entry(number, lost=()) for number in range(DECISIONS // 2)]))
        log.write(encoder.encode_lines([entry(number) for number in range(3)]))
        log.write(encoder.encode_lines([entry(number, lost=()) for number in range(DECISIONS // 2)]))
    index_decisions(page.settings.data_decision_log)
    with page.settings.data_journal.open("wb") as journal:
        runs = [run(hours=(RUNS - at) / 60, name=str(at)) for at in range(RUNS)]
        journal.write(encoder.encode_lines(runs))


@pytest.mark.slow
async def test_every_page_answers_at_once_on_much_of_everything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Page(tmp_path)
    filled(page)
    began = time.monotonic()
    while "being read" in await page.get("letters"):
        assert time.monotonic() - began < 300
        await asyncio.sleep(0.2)
    assert f"{LETTERS:,} open dead letters" in await page.get("letters")
    assert (await page.get("conflicts")).count("<tr>") == 4
    for path in PATHS:
        took = []
        for _ in range(3):
            began = time.process_time()  # whatever else the machine does
            await page.get(path)
            took.append(time.process_time() - began)
        assert min(took) < 0.5, f"{path or 'overview'}: {took}"
