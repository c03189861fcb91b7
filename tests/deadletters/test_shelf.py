"""What a page shows of the letters is what there is; each is read once, the newest first, a few at a time."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from pipeline.dataflow.locators import Locator
from pipeline.deadletters import DeadLetterOffice, shelf
from pipeline.deadletters.letter import Letter, as_json, name_of
from pipeline.deadletters.shelf import Shelf
from pipeline.errors import Reason

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


def put(root, number, flow="erp.inbound", **more):
    where = Locator(f"{number}.json")
    said = {"client": "erp", "stage": "parse", "reasons": (Reason(f"not JSON: at byte {number}"),), "text": "x" * 99}
    seen = NOON + timedelta(minutes=number)
    said |= {"flow": flow, "locator": str(where), "file": where.place, "attempts": 1}
    letter = Letter(**{**said, "first_seen": NOON, "last_seen": seen, **more})
    folder = root / flow
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / "aside"
    aside.write_bytes(as_json(letter))
    os.utime(aside, (number, number))
    return aside.rename(folder / name_of(where, letter.raw))


def looked(shelf):
    while shelf.step():
        pass
    return shelf.seen


@pytest.fixture
def root(tmp_path):
    for number in range(10):
        put(tmp_path, number)
    put(tmp_path, 10, "erp.outbound", stage="translate", reasons=(Reason("odd"),))
    return tmp_path


def test_it_has_what_the_office_has_but_for_the_bytes_the_last_seen_first(root):
    seen = looked(Shelf(root))
    told = [filed._replace(letter=replace(filed.letter, text=None)) for filed in DeadLetterOffice(root).find()]
    assert seen.letters == sorted(told, key=lambda filed: filed.letter.last_seen, reverse=True)
    assert (seen.total, seen.unread, seen.flows) == (11, 0, {"erp.inbound": 10, "erp.outbound": 1})
    assert [(group.count, group.newest.letter.locator) for group in seen.groups] == [(1, "10.json"), (10, "9.json")]


def test_the_newest_are_read_first_and_what_is_left_is_counted(root, monkeypatch):
    monkeypatch.setattr(shelf, "AT_ONCE", 4)
    monkeypatch.setattr(shelf, "SHOWN_SECONDS", -1.0)
    looking = Shelf(root)
    assert looking.step()
    assert (looking.seen.total, looking.seen.letters) == (11, [])
    assert looking.step()
    assert [filed.letter.locator for filed in looking.seen.letters] == ["10.json", "9.json", "8.json", "7.json"]
    assert (looking.seen.total, looking.seen.unread) == (11, 7)


def test_what_has_changed_is_read_again_and_nothing_else(root, monkeypatch):
    looking = Shelf(root)
    looked(looking)
    read = []
    monkeypatch.setattr(shelf, "read_letter", lambda path: read.append(path.name) or None)
    assert looked(looking).total == 11
    assert read == []
    monkeypatch.undo()
    first = next(iter((root / "erp.outbound").iterdir()))
    first.unlink()
    changed = put(root, 3, attempts=2)
    os.utime(changed, (99, 99))
    put(root, 11)
    seen = looked(looking)
    assert [filed.letter.attempts for filed in seen.letters if filed.letter.locator == "3.json"] == [2]
    assert (seen.total, seen.flows) == (11, {"erp.inbound": 11})


def test_a_file_that_is_written_in_place_is_seen_after_a_while(root, monkeypatch):
    monkeypatch.setattr(shelf, "SETTLED_NANOSECONDS", -1)
    looking = Shelf(root)
    looked(looking)
    path = next(iter((root / "erp.outbound").iterdir()))
    path.write_text("damaged")
    assert looked(looking).total == 11
    monkeypatch.setattr(shelf, "TRUSTED_SECONDS", -1.0)
    assert looked(looking).total == 10


def test_without_a_folder_there_is_nothing(tmp_path):
    assert looked(Shelf(tmp_path / "none")).total == 0
