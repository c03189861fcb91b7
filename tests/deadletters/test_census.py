"""How many letters are open, and since when."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import DeadLetter, Envelope
from pipeline.deadletters import Census, DeadLetterFolder, DeadLetterOffice, Standing
from pipeline.deadletters import census as census_module
from pipeline.errors import Reason

NOON = datetime(2026, 10, 31, 12, tzinfo=UTC)


def letter(name, minute=0):
    one = DeadLetter.of(
        Envelope(b"{", Locator(name), b"{"), flow="erp.inbound", stage="parse", reasons=(Reason("not JSON"),)
    )
    return replace(one, at=NOON + timedelta(minutes=minute))


@pytest.fixture
async def folder(tmp_path):
    async with DeadLetterFolder(tmp_path, flow="erp.inbound", client="erp", identify=lambda _: None) as folder:
        yield folder


async def test_open_letters_are_counted_by_flow_with_their_first_times(tmp_path, folder):
    census = Census(tmp_path)
    assert census.count("erp") == {"inbound": Standing()}
    assert census.count("other") == {}
    await folder.write([letter("b.json", 2), letter("a.json", 1)])
    (tmp_path / "erp.outbound").mkdir()
    (tmp_path / "erp2.inbound").mkdir()
    (tmp_path / "erp.inbound/note.txt").write_text("no letter")
    found = census.count("erp")
    assert found == {
        "inbound": Standing((NOON + timedelta(minutes=1), NOON + timedelta(minutes=2))),
        "outbound": Standing(),
    }
    await folder.write([letter("a.json", 9)])
    assert census.count("erp") == found, "met again, it is as old as before"


async def test_a_letter_is_read_once_and_what_is_closed_is_gone(tmp_path, folder, monkeypatch):
    read = []
    monkeypatch.setattr(
        census_module, "read_letter", lambda path, real=census_module.read_letter: read.append(path) or real(path)
    )
    await folder.write([letter("a.json"), letter("b.json")])
    census = Census(tmp_path)
    for _ in range(3):
        assert census.count("erp")["inbound"].count == 2
    assert len(read) == 2
    await folder.close()
    office = DeadLetterOffice(tmp_path)
    office.discard(next(iter(office.find())), "no order")
    assert census.count("erp")["inbound"].count == 1
    assert len(read) == 2


async def test_a_damaged_letter_is_as_old_as_its_file(tmp_path, folder):
    await folder.write([letter("a.json")])
    (path,) = (tmp_path / "erp.inbound").glob("*.json")
    path.write_bytes(b"{")
    (since,) = Census(tmp_path).count("erp")["inbound"].since
    assert abs(since - datetime.now(UTC)) < timedelta(minutes=1)
