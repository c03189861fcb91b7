"""The law of memory: whatever happens to database and state, a run with the memory ends like one without it."""

import asyncio
import shutil

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dataflow.run import run
from pipeline.deadletters import read_letters
from pipeline.flows import FLOWS
from pipeline.service.session import Sessions
from tests.plant import Plant
from tests.service.test_plan import records, settings_of

MEMORY = "data/state/erp_json.files"

files = st.dictionaries(st.sampled_from("wxyz"), st.lists(records, min_size=1, max_size=3), max_size=3)
mutilations = st.lists(
    st.sampled_from(
        [
            "remove one",
            "remove all",
            "drop",
            "restore",
            "restore one",
            "roll the state back",
            "tear the state",
            "exchange two",
            "forget the part that is ours",
            "forget what was received",
            "break a status",
            "break our part",
            "edit",
            "another client's",
        ]
    ),
    max_size=3,
)
steps = st.lists(st.tuples(files, mutilations), min_size=2, max_size=4)


def sync(config):
    async def flows(session):
        reports = []
        async with session.tracos(config.mongo_uri) as tracos:
            for name, flow in FLOWS.items():
                reports.append(await run(flow(session.client, tracos, session.dead(name))))
        return reports

    return asyncio.run(flows(Sessions(config).get("erp_json")))


class Mutilator:
    """Does things to a database and to state files that no program of ours would do."""

    def __init__(self, plant):
        self.plant, self.orders = plant, plant.orders
        self.backup, self.state = [], None

    def remember(self):
        self.backup = list(self.orders.find())
        path = self.plant.home / MEMORY
        self.state = path.read_bytes() if path.exists() else None

    def do(self, what):  # noqa: PLR0912 - a case a mutilation
        one = self.orders.find_one(sort=[("number", 1)])
        same = {"_id": one["_id"]} if one else {"_id": "none"}
        match what:
            case "remove one":
                self.orders.delete_one(same)
            case "remove all":
                self.orders.delete_many({})
            case "drop":
                self.orders.drop()
            case "restore":
                self.orders.delete_many({})
                if self.backup:
                    self.orders.insert_many(self.backup)
            case "restore one":
                for document in self.backup[:1]:
                    self.orders.delete_many({"number": document["number"]})
                    self.orders.replace_one({"_id": document["_id"]}, document, upsert=True)
            case "roll the state back" if self.state is not None:
                (self.plant.home / MEMORY).write_bytes(self.state)
            case "tear the state" if (self.plant.home / MEMORY).exists():
                path = self.plant.home / MEMORY
                path.write_bytes(path.read_bytes()[:-3])
            case "exchange two":
                both = list(self.orders.find({"sync": {"$exists": True}}).limit(2))
                for document, other in zip(both, reversed(both), strict=True):
                    self.orders.update_one({"_id": document["_id"]}, {"$set": {"sync": other["sync"]}})
            case "forget the part that is ours":
                self.orders.update_one(same, {"$unset": {"sync": ""}})
            case "forget what was received":
                self.orders.update_one(same, {"$unset": {"sync.received": ""}})
            case "break a status":
                self.orders.update_one(same, {"$set": {"status": "odd"}})
            case "break our part":
                self.orders.update_one(same, {"$set": {"sync.received.taken": "odd"}})
            case "edit":
                self.orders.update_one(same, {"$set": {"title": "c", "isSynced": False}})
            case "another client's":
                self.orders.update_one(same, {"$set": {"sync.client": "other"}})


def world(plant):
    """Everything that a run leaves, but for the moments at which it did."""
    documents = [without_moments(document) for document in plant.orders.find({}, {"_id": 0}).sort("number")]
    letters = sorted(
        (letter.locator, letter.stage, letter.reasons)
        for _, letter in read_letters(plant.home / "data/dead-letter")
        if "@" not in letter.locator
    )
    sent = {path.name: path.read_bytes() for path in plant.outbound.glob("*")}
    return documents, letters, sent


def without_moments(document):
    document.pop("syncedAt", None)
    for sent in document["sync"].get("sent", ()) if isinstance(document.get("sync"), dict) else ():
        sent.pop("at")
    return document


class Fork:
    """The same plant in the same folder, with what it remembers and without, each time on a database of its own."""

    KEPT = ("outbound", "dead-letter")

    def __init__(self, plant):
        self.plant = plant
        self.data = plant.home / "data"
        self.aside = plant.home / "aside"

    def both(self):
        name = f"{self.plant.environ['MONGO_DATABASE']}-without"
        without = Plant(self.plant.home, self.plant.environ["MONGO_URI"], name)
        try:
            documents = list(self.plant.orders.find())
            if documents:
                without.orders.insert_many(documents)
            shutil.copytree(self.data, self.aside)
            shutil.rmtree(self.data / "state", ignore_errors=True)
            sync(settings_of(without))
            ended = world(without)
            for kept in (*self.KEPT, "state"):
                shutil.rmtree(self.data / kept, ignore_errors=True)
                if (self.aside / kept).exists():
                    shutil.move(self.aside / kept, self.data / kept)
            shutil.rmtree(self.aside)
            sync(settings_of(self.plant))
            return world(self.plant), ended
        finally:
            without.client.drop_database(name)
            without.client.close()


@pytest.mark.slow
@settings(max_examples=25)
@given(steps)
def test_a_run_with_the_memory_ends_like_a_run_without_it(mongo_uri, tmp_path_factory, steps):
    home = tmp_path_factory.mktemp("plant")
    plant = Plant(home, mongo_uri, f"test-{home.name}")
    mutilator = Mutilator(plant)
    try:
        for written, mutilated in steps:
            for name, lines in written.items():
                plant.put(f"{name}.ndjson", b"\n".join(map(msgspec.json.encode, lines)))
            mutilator.remember()
            sync(settings_of(plant))
            for what in mutilated:
                mutilator.do(what)
            with_memory, without = Fork(plant).both()
            assert with_memory == without
    finally:
        plant.client.drop_database(plant.environ["MONGO_DATABASE"])
        plant.client.close()


timeless = st.fixed_dictionaries(
    {
        "id": st.integers(1, 2),
        "status": st.sampled_from(["NEW", "NEW", "DONE", "ODD"]),
        "createdAt": st.just("2026-10-01"),
        "title": st.sampled_from("abcdefgh"),
    },
    optional={"updatedAt": st.just("2026-10-02")},
)


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(st.dictionaries(st.sampled_from("wxyz"), st.lists(timeless, min_size=1, max_size=25)), min_size=1))
def test_an_idle_run_touches_nothing_however_many_records_have_no_time_or_the_same(mongo_uri, tmp_path_factory, steps):
    home = tmp_path_factory.mktemp("plant")
    plant = Plant(home, mongo_uri, f"test-{home.name}")
    try:
        for written in steps[:3]:
            for name, lines in written.items():
                plant.put(f"{name}.ndjson", b"\n".join(map(msgspec.json.encode, lines)))
            sync(settings_of(plant))
        before = touched(plant)
        sync(settings_of(plant))
        assert touched(plant) == before
    finally:
        plant.client.drop_database(f"test-{home.name}")
        plant.client.close()


def touched(plant):
    files = {str(path): path.stat().st_mtime_ns for path in plant.home.rglob("*") if path.is_file()}
    return files, list(plant.orders.find().sort("_id"))


@pytest.mark.parametrize("name", ["erp_json.files"])
def test_hundred_known_files_are_not_opened(plant, name):
    for number in range(100):
        plant.put(f"{number}.json", {"id": number, "status": "NEW", "createdAt": "2026-10-01"})
    sync(settings_of(plant))
    assert (plant.home / "data/state" / name).exists()
    inbound, _ = sync(settings_of(plant))
    assert (inbound.received, inbound.spared) == (0, 100)


def test_what_a_killed_run_left_where_clients_remember_is_removed_by_the_next_that_has_nothing_to_do(plant):
    plant.put("1.json", {"id": 1, "status": "NEW", "createdAt": "2026-10-01T08:00:00Z"})
    plant.command("run")
    left = plant.home / "data/state" / ".0123456789abcdef-0.~tmp"
    left.touch()
    plant.command("plan", exits=0)
    assert left.exists()
    plant.command("run")
    assert not left.exists()
