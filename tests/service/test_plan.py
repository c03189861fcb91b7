"""A plan names exactly what the run then does, and writes nothing: not a file, not a document, not an index."""

import asyncio
import errno
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pymongo import MongoClient

from pipeline.dataflow.run import run
from pipeline.deadletters import read_letters
from pipeline.errors import BudgetExceeded, Fatal
from pipeline.flows import FLOWS
from pipeline.history.decisions import SENT, read_decisions
from pipeline.orders.merge import Rule
from pipeline.orders.workorder import Status
from pipeline.service.effects import Dry
from pipeline.service.plan import make_plan
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings
from pipeline.testing import FakeErp
from tests.plant import Plant

START = datetime(2026, 10, 1, tzinfo=UTC)


def settings_of(plant, **values):
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
        **values,
    )


def plan_of(config):
    sessions = Sessions(config, effects=Dry())
    with sessions.mongo() as uri:
        return asyncio.run(make_plan(sessions.get("erp_json"), uri))


async def sync(session):
    async with session.tracos(session.settings.mongo_uri) as tracos:
        for name, flow in FLOWS.items():
            await run(flow(session.client, tracos, session.dead(name)))


def without_time(entries):
    """What was decided, in order; MongoDB alone knows in which order unsynced documents are found, and new _id s."""
    told = [
        replace(entry, at=START, run="", locator=entry.locator.partition("@")[0])
        for entry in entries
        if entry.rule != Rule.STALE  # which the log tells once
    ]
    return sorted(told, key=lambda entry: str(entry.number) if entry.rule == SENT else "")


def state(plant):
    files = {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in plant.home.rglob("*") if path.is_file()
    }
    folders = sorted(str(path) for path in plant.home.rglob("*") if path.is_dir())
    database = plant.orders.database
    return files, folders, sorted(database.list_collection_names()), list(plant.orders.find().sort("_id"))


def check(plant, config):
    """Plan, see that nothing was touched, run, and see that it did what was planned."""
    before = state(plant)
    plan = plan_of(config)
    assert state(plant) == before
    known = len(list(read_decisions(config.data_decision_log)))
    dead = {letter.locator for _, letter in read_letters(config.data_dead_letter_dir)}
    asyncio.run(sync(Sessions(config).get("erp_json")))
    done = list(read_decisions(config.data_decision_log))[known:]
    assert without_time(done) == without_time(plan.entries)
    fresh = {letter.locator for _, letter in read_letters(config.data_dead_letter_dir)} - dead
    assert fresh == {str(letter.locator) for letter in plan.dead_letters} - dead
    return plan


@pytest.mark.parametrize("after", ["keep", "archive", "delete"])
def test_the_sample(plant, after):
    plant.run("setup.py")
    config = settings_of(plant, inbound_after=after)
    plan = check(plant, config)
    assert len({entry.number for entry in plan.writes}) == 15
    assert len(plan.dead_letters) == 3
    again = plan_of(config)
    assert (list(again.entries), again.dead_letters) == ([], [])


def test_where_nothing_is_there_nothing_is_made(plant):
    config = settings_of(plant)
    plan = plan_of(config)
    assert (list(plan.entries), plan.dead_letters) == ([], [])
    assert list(plant.home.iterdir()) == []
    assert plant.orders.database.list_collection_names() == []


def test_what_would_stop_the_run_stops_the_plan(plant):
    plant.put("1.json", {"id": 1, "status": "NEW", "createdAt": "2026-10-01"})
    check(plant, settings_of(plant))
    plant.put("2.json", {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "deletedAt": "2026-10-02"})
    config = settings_of(plant, sync_max_deletes=0)
    with pytest.raises(BudgetExceeded):
        plan_of(config)
    plant.orders.drop_indexes()
    plant.orders.insert_one({"number": 1})
    with pytest.raises(Fatal, match="same number"):
        plan_of(config)


def test_a_database_that_cannot_be_looked_at_is_not_shown_as_empty(tmp_path, monkeypatch):
    def unreadable(self):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pathlib.Path.is_dir", unreadable)
    with pytest.raises(Fatal, match="cannot be looked at: Input/output error"), Dry().begun(tmp_path / "mongo"):
        pass


def test_an_order_that_comes_many_times_is_followed_through_batches(plant):
    lines = [
        {"id": 1, "status": "NEW", "title": f"t{number}", "createdAt": "2026-10-01", "updatedAt": _time(number)}
        for number in range(1200)
    ]
    plant.put("1.ndjson", b"\n".join(map(msgspec.json.encode, lines)))
    plan = check(plant, settings_of(plant))
    assert [entry.rule for entry in plan.entries] == ["insert"] + ["three_way"] * 1199


def _time(minutes):
    return (START + timedelta(minutes=minutes)).isoformat()


records = st.fixed_dictionaries(
    {"id": st.integers(1, 3), "status": st.sampled_from(["NEW", "DONE", "ODD"]), "createdAt": st.just("2026-10-01")},
    optional={
        "title": st.sampled_from("ab"),
        "updatedAt": st.integers(0, 5).map(_time),
        "deletedAt": st.integers(0, 5).map(_time),
    },
)
documents = st.fixed_dictionaries(
    {"title": st.sampled_from(["a", "c"]), "status": st.sampled_from([*Status, "odd"]), "isSynced": st.just(False)},
    optional={"updatedAt": st.integers(0, 5).map(_time), "deleted": st.booleans()},
)
steps = st.lists(
    st.tuples(st.dictionaries(st.sampled_from("xyz"), records), st.dictionaries(st.integers(1, 4), documents)),
    min_size=1,
    max_size=3,
)


@pytest.mark.slow
@settings(max_examples=40)
@given(steps)
def test_whatever_both_sides_hold(mongo_uri, tmp_path_factory, steps):
    home = tmp_path_factory.mktemp("plant")
    plant = Plant(home, mongo_uri, f"test-{home.name}")
    try:
        for files, edits in steps:
            for name, record in files.items():
                plant.put(f"{name}.json", record)
            for number, fields in edits.items():
                plant.orders.update_one({"number": number}, {"$set": fields}, upsert=True)
            check(plant, settings_of(plant))
    finally:
        plant.client.drop_database(f"test-{home.name}")
        plant.client.close()


def test_the_database_is_not_even_made(mongo_uri, plant):
    plan_of(settings_of(plant))
    with MongoClient(mongo_uri) as client:
        assert plant.environ["MONGO_DATABASE"] not in client.list_database_names()


def test_a_plan_of_an_api_remembers_nothing_and_tells_nobody(plant):
    order = {"id": 1, "status": "NEW", "createdAt": "2026-10-01", "updatedAt": "2026-10-02T00:00:00Z"}
    with FakeErp() as erp:
        erp.put(order)
        (plant.home / "clients.toml").write_text(
            f'[clients.north]\nkind = "rest_json"\nurl = "{erp.url}"\nitems = "items"\nsince_param = "updated_since"\n'
        )
        plant.orders.insert_one({"number": 2, "status": "created", "createdAt": "2026-10-01", "isSynced": False})
        config = settings_of(plant, clients_file=plant.home / "clients.toml")
        before = state(plant)
        sessions = Sessions(config, effects=Dry())
        with sessions.mongo() as uri:
            plan = asyncio.run(make_plan(sessions.get("north"), uri))
        assert {(entry.number, entry.rule) for entry in plan.writes} == {(1, "insert"), (2, SENT)}
        assert state(plant) == before
        assert set(erp.orders) == {"1"}
        assert {request.method for request in erp.requests} == {"GET"}
