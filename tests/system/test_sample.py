"""The sample data: first run, second run, and what comes out, compared with files."""

from pathlib import Path

import msgspec
import pytest

from pipeline.translation.times import format_time

EXPECTED = Path(__file__).parent / "expected"
BAD = {"bad-malformed.json", "bad-schema.json", "bad-unreadable.json"}


@pytest.fixture
def sample(plant):
    plant.run("setup.py")
    return plant


def plain(document):
    """A document as the expected files have it: without what differs from run to run."""
    kept = {key: value for key, value in document.items() if key not in ("_id", "sync", "syncedAt")}
    return {key: format_time(value) if hasattr(value, "tzinfo") else value for key, value in kept.items()}


def good_files(plant):
    return {path.name: path.read_bytes() for path in plant.inbound.iterdir() if path.name not in BAD}


def test_every_order_of_both_sides_is_on_both_sides(sample):
    out, err = sample.run()
    assert "9 created · 1 updated · 1 unchanged · 3 dead-lettered" in out
    assert "5 read   5 sent" in out
    assert err.count("dead letter: ") == 3
    documents = {str(number): plain(document) for number, document in sample.documents().items()}
    assert documents == msgspec.json.decode((EXPECTED / "documents.json").read_bytes())
    assert all(document["isSynced"] for document in documents.values())
    expected = {path.name: path.read_text() for path in (EXPECTED / "outbound").iterdir()}
    assert {path.name: path.read_text() for path in sample.outbound.iterdir()} == expected
    assert set(sample.letters()) == BAD


def test_a_second_run_touches_no_document_and_no_file(sample):
    sample.run()
    before = sample.state()
    out, err = sample.run()
    assert sample.state() == before
    assert "3 still dead · 9 unchanged, not read again" in out
    assert "0 read   nothing to do" in out
    assert err == ""


def test_the_samples_are_written_once(sample):
    sample.run()
    before = sample.state()
    out, _ = sample.run("setup.py")
    assert out.startswith("0 new work orders in TracOS")
    assert sample.state() == before
    assert len(sample.documents()) == 15


def test_a_bigger_set_is_reproducible(plant, tmp_path_factory):
    plant.run("setup.py", "--orders", "40", "--seed", "7")
    first = good_files(plant)
    documents = [plain(document) for document in plant.orders.find().sort("number")]
    plant.orders.delete_many({})
    for path in plant.inbound.iterdir():
        path.unlink()
    plant.run("setup.py", "--orders", "40", "--seed", "7")
    assert good_files(plant) == first
    assert [plain(document) for document in plant.orders.find().sort("number")] == documents
    assert (len(first), len(documents)) == (49, 46)
    out, _ = plant.run()
    assert "40 sent" not in out
    assert plant.orders.count_documents({"isSynced": {"$ne": True}}) == 0
