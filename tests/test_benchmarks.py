"""The benchmarks measure what they say: all sides do the same work, and the goals are told from the results."""

import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from benchmarks import floor, loaders, ours, peers, sides
from benchmarks.goals import GOALS, reached
from benchmarks.place import WORDS, Place, fill_with_files, fill_with_lines, order
from benchmarks.report import Report, table_of_goals, tables
from benchmarks.sides import FILE_PEERS, LINE_PEERS, Side, file_peers, line_peers, with_lanes
from benchmarks.suite import Experiment, Results, Suite
from benchmarks.task import Done, Task, carry_out

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


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


@pytest.fixture
def apart(place, tmp_path):
    """Does a side in a process of its own, as the suite does; returns how many orders it did."""

    def apart(side):
        task = Task(work=side.work, uri=place.uri, root=str(tmp_path), place=place.name, source=side.source)
        return carry_out(replace(task, **side.options), side.python).orders

    return apart


@pytest.mark.parametrize("name", [*(name for name, peer in LINE_PEERS.items() if peer.indexes == "two"), "pathway"])
def test_all_peers_of_lines_store_the_same_documents(apart, do, place, tmp_path, name):
    found = line_peers(20, str(tmp_path / "lines"))
    if name not in found:
        pytest.skip(f"benchmarks/requirements{'-pathway' * (name == 'pathway')}.txt has it")
    fill_with_lines(tmp_path / "lines", 20)
    assert (do(getattr(loaders, name), "lines") if hasattr(loaders, name) else apart(found[name])) == 20
    documents = list(place.orders.find({}, {"_id": 0, "diff": 0, "time": 0}).sort("number"))
    first = {key: text for key, text in order(0).items() if key not in ("id", "status")}
    assert documents[0] == {"number": 0, "status": WORDS[order(0)["status"]], "isSynced": True, **first}
    assert [(one["number"], one["status"]) for one in documents] == [
        (n, list(WORDS.values())[n % 6]) for n in range(20)
    ]


@pytest.mark.parametrize("name", [name for name, peer in FILE_PEERS.items() if peer.needs])
def test_all_frameworks_load_every_file(apart, place, tmp_path, name):
    found = file_peers(20, str(tmp_path / "files"))
    if name not in found:
        pytest.skip("benchmarks/requirements.txt has it")
    fill_with_files(tmp_path / "files", 20)
    assert apart(found[name]) == 20
    assert place.orders.count_documents({"title": {"$regex": "^Work order"}}) == 20


def test_the_command_does_what_the_chains_do(apart, do, place, tmp_path):
    fill_with_lines(tmp_path / "lines", 20)
    assert apart(Side("ours.run_inbound", 20, str(tmp_path / "lines"))) == 20
    by_command = stored(place)
    place.orders.update_many({}, {"$set": {"isSynced": False}})
    assert apart(Side("ours.run_outbound", 20)) == 20
    assert len(list(place.outbound.iterdir())) == 20
    place.orders.delete_many({})
    assert do(ours.inbound, "lines") == 20
    assert stored(place) == by_command


def test_lanes_are_more_sides_where_a_flow_has_them(monkeypatch):
    alone = {"floor": Side("floor.inbound_files", 5), "pipeline": Side("ours.inbound", 5, "there")}
    monkeypatch.setattr(sides, "FLOWS", {"inbound": lambda client, *, budget=None: 0})
    assert with_lanes(alone) == alone
    monkeypatch.setattr(sides, "FLOWS", {"inbound": lambda client, *, lanes=None: 0})
    assert [*with_lanes(alone)] == ["floor", "pipeline", "1 lane", "2 lanes", "4 lanes"]
    two = with_lanes(alone)["2 lanes"]
    assert (two.work, two.options, two.source) == ("ours.run_inbound", {"workers": 2}, "there")


@pytest.mark.slow
def test_the_command_takes_the_number_of_lanes(apart, place, tmp_path):
    fill_with_lines(tmp_path / "lines", 20)
    two = with_lanes({"pipeline": Side("ours.inbound", 20, str(tmp_path / "lines"))})["2 lanes"]
    assert apart(two) == 20
    assert place.orders.count_documents({"sync.rev": 1}) == 20


def test_nothing_is_timed_but_the_work(place, do, mongo_uri, database_name, tmp_path):
    """No index is made by the pipeline, and no batch of the floor reads the whole collection."""
    fill_with_files(tmp_path / "files", 20)
    fill_with_files(tmp_path / "later", 20, edition=1)
    place.orders.drop()
    Place(mongo_uri, tmp_path / "again", database_name).make("pipeline").close()
    before = place.orders.index_information()
    do(ours.inbound)
    assert place.orders.index_information() == before
    place.orders.database.command("profile", 2)
    assert do(floor.merge_files, "later") == 20
    place.orders.database.command("profile", 0)
    plans = place.orders.database["system.profile"].distinct("planSummary", {"ns": place.orders.full_name})
    assert plans
    assert all(plan.startswith(("IXSCAN", "IDHACK")) for plan in plans), plans


def test_what_was_written_is_not_removed_before_the_next_is_timed(place):
    (place.outbound / "1.json").write_text("{}")
    (place.root / "decisions.jsonl").write_text("{}")
    place.with_documents(5).remove()
    assert [path.name for path in place.root.rglob("*.json*")] == ["1.json"]


def test_a_side_that_does_not_what_it_says_ends_it(mongo_uri, tmp_path):
    fill_with_lines(tmp_path / "lines", 20)
    liar = Side("floor.inbound_lines", 20, str(tmp_path / "lines"), stored=19)
    with pytest.raises(SystemExit, match="19 documents expected, 20 found"):
        Suite(mongo_uri, tmp_path).measure(Experiment("lies", {"liar": liar}, 1))


def test_a_goal_is_told_where_both_sides_were_measured():
    done = [Done(orders=10, seconds=1, cpu_seconds=1, peak_mb=1)]
    files = {"floor": done, "pipeline": done}
    assert [goal.is_reached for goal in reached(Results({"inbound files": files}))] == [True]
    files["2 lanes"] = done
    assert [goal.is_reached for goal in reached(Results({"inbound files": files}))] == [True, False]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-pathway.txt"])
def test_a_figure_is_of_one_version(name):
    lines = (ROOT / "benchmarks" / name).read_text().splitlines()
    wanted = [line.split(" ")[0] for line in lines if not line.startswith("#")]
    assert wanted
    assert all(re.fullmatch(r"[a-z-]+==[\d.]+", one) for one in wanted)


def test_what_is_measured_is_told(mongo_uri, tmp_path):
    told = []
    results = Suite(mongo_uri, tmp_path, scale=0.0001, rounds=1).run(told.append, "idle")
    assert told == ["idle: run, round 1 of 1"]
    (done,) = results.done["idle"]["run"]
    assert (done.orders, done.seconds > 0, done.peak_mb > 10) == (100, True, True)
    assert [goal.work for goal in reached(results)] == ["idle run, a file unread"]


def test_what_is_measured_again_replaces_what_was_and_the_rest_stays():
    machine = msgspec.json.decode((DOCS / "performance.json").read_bytes(), type=Report).machine
    once, again = [Done(orders=1, seconds=1, cpu_seconds=1, peak_mb=1)], []
    before = Report(machine, 1, Results({"a": {"x": once}, "b": {"y": once}}, {"start": 1.0}))
    alone = msgspec.structs.replace(machine, packages={"motor": "9"})
    after = Report(alone, 1, Results({"b": {"y": again}})).beside(before)
    assert after.machine.packages == machine.packages | {"motor": "9"}
    assert after.results == Results({"a": {"x": once}, "b": {"y": again}}, {"start": 1.0})


def test_the_documents_show_what_was_measured():
    report = msgspec.json.decode((DOCS / "performance.json").read_bytes(), type=Report)
    said = (DOCS / "performance.md").read_text()
    goals = reached(report.results)
    assert {goal.work for goal in GOALS} == {goal.work for goal in goals}
    assert table_of_goals(goals) in said
    (everything,) = re.findall(r"<!-- everything -->\n```\n(.*?)\n```", said, re.DOTALL)
    assert tables(report).startswith(everything)
