"""The benchmarks measure what they say: all sides do the same work, and the goals are told from the results."""

import re
from pathlib import Path

import msgspec
import pytest

from benchmarks import floor, ours, peers
from benchmarks.goals import GOALS, reached
from benchmarks.place import Place, fill_with_files, fill_with_lines
from benchmarks.report import Report, table_of_goals, tables
from benchmarks.suite import Suite
from benchmarks.task import Task

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def place(mongo_uri, database_name, tmp_path):
    place = Place(mongo_uri, tmp_path, database_name).make()
    yield place
    place.close()


@pytest.fixture
def do(place, tmp_path):
    """Does a piece of work in this process; returns how many orders it did."""

    def do(work, folder="files"):
        return work(place, Task(work="", uri=place.uri, root="", place=place.name, source=str(tmp_path / folder)))

    return do


def stored(place):
    """All documents, without what differs from run to run."""

    def plain(document):
        sync = document["sync"]
        sync["received"]["hash"] = sync["received"]["taken"][0]["hash"] = ""
        return {key: value for key, value in document.items() if key not in ("_id", "syncedAt")}

    return sorted((plain(document) for document in place.orders.find()), key=lambda document: document["number"])


def test_the_floor_stores_the_documents_that_the_pipeline_stores(place, do, tmp_path):
    fill_with_files(tmp_path / "files", 20)
    fill_with_lines(tmp_path / "lines", 20)
    for ours_from, floors in (("files", floor.inbound_files), ("lines", floor.inbound_lines)):
        assert do(ours.inbound, ours_from) == 20
        documents = stored(place)
        place.orders.delete_many({})
        assert do(floors, ours_from) == 20
        assert stored(place) == documents
        place.orders.delete_many({})


def test_the_floor_merges_what_the_pipeline_merges(place, do, tmp_path):
    fill_with_files(tmp_path / "files", 20)
    fill_with_files(tmp_path / "later", 20, edition=1)
    texts = {}
    for work in (ours.inbound, floor.merge_files):
        place.orders.delete_many({})
        do(ours.inbound)
        place.orders.update_many({}, {"$set": {"description": "ours", "isSynced": False}})
        assert do(work, "later") == 20
        keys = ("number", "title", "description", "status", "updatedAt", "isSynced")
        texts[work] = [{key: document[key] for key in keys} for document in place.orders.find().sort("number")]
    assert texts[ours.inbound] == texts[floor.merge_files]
    assert texts[ours.inbound][7]["title"] == "Work order 7, edition 1"


@pytest.mark.parametrize("work", [ours.outbound, floor.outbound_files, floor.outbound_lines, peers.naive_outbound])
def test_all_sides_send_every_order_and_mark_it(place, do, work):
    place.with_documents(20)
    assert do(work) == 20
    written = b"".join(path.read_bytes() for path in place.outbound.iterdir())
    assert written.count(b'"id"') == 20
    assert place.orders.count_documents({"isSynced": {"$ne": True}}) == 0


@pytest.mark.parametrize("work", [peers.naive_inbound, peers.gather, peers.per_item, peers.bulk_write])
def test_all_peers_load_every_order(place, do, tmp_path, work):
    fill_with_files(tmp_path / "files", 20)
    assert do(work) == 20
    assert place.orders.count_documents({"status": "created"}) == 4


def test_what_is_measured_is_told(mongo_uri, tmp_path):
    told = []
    results = Suite(mongo_uri, tmp_path, scale=0.0001, rounds=1).run(told.append, "idle")
    assert told == ["idle: run, round 1 of 1"]
    (done,) = results.done["idle"]["run"]
    assert (done.orders, done.seconds > 0, done.peak_mb > 10) == (100, True, True)
    assert [goal.work for goal in reached(results)] == ["idle run, a file unread"]


def test_the_documents_show_what_was_measured():
    report = msgspec.json.decode((DOCS / "performance.json").read_bytes(), type=Report)
    said = (DOCS / "performance.md").read_text()
    goals = reached(report.results)
    assert len(goals) == len(GOALS)
    assert table_of_goals(goals) in said
    (everything,) = re.findall(r"<!-- everything -->\n```\n(.*?)\n```", said, re.DOTALL)
    assert tables(report).startswith(everything)
