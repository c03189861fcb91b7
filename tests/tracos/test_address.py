"""MONGO_URI: read by the driver's own parser, never shown, and never weaker than correctness needs."""

import os
import subprocess
import sys

import pytest
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference

from pipeline.dataflow.messages import Outcome
from pipeline.errors import WrongSettings
from pipeline.tracos.address import durable, read_address, wrong_names
from pipeline.tracos.indexes import IS_ID
from tests.tracos.orders import TERMS, at, envelope, order, taken

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("uri", "database", "shown"),
    [
        ("mongodb://h", None, "mongodb://h:27017"),
        ("mongodb://h/", None, "mongodb://h:27017"),
        ("mongodb://u:pa#ss@h/mydb", "mydb", "mongodb://h:27017"),
        ("mongodb://u:pa[ss]@h/mydb", "mydb", "mongodb://h:27017"),
        ("mongodb://u:p%40s%2Fs%3F@h/my%2Ddb", "my-db", "mongodb://h:27017"),
        ("mongodb://h,g:1,[::1]:2/a.b?replicaSet=rs", "a", "mongodb://h:27017,g:1,::1:2"),
        ("mongodb://h?retryWrites=false", None, "mongodb://h:27017"),
        ("mongodb://%2Ftmp%2Fm.sock/plant", "plant", "mongodb:///tmp/m.sock"),
        ("mongodb+srv://u:p@cluster.example.com/plant", "plant", "mongodb+srv://cluster.example.com"),
        (
            "mongodb+srv://u:p@c.example.com/plant?srvServiceName=x&w=majority&srvMaxHosts=2",
            "plant",
            "mongodb+srv://c.example.com",
        ),
        ("mongodb+srv://c.example.com/?srvMaxHosts=2", None, "mongodb+srv://c.example.com"),
        (" mongodb://h/plant\n", "plant", "mongodb://h:27017"),
    ],
)
def test_an_address_says_its_database_and_can_be_shown(uri, database, shown):
    address = read_address(uri)
    assert (address.database, address.shown) == (database, shown)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://h", "neither mongodb"),
        ("", "neither mongodb"),
        ("mongodb://", "names no host"),
        ("mongodb:///plant", "names no host"),
        ("mongodb://h,,g", "comma too many"),
        (f"mongodb://u:{SECRET}", "percent-encoded"),
        (f"mongodb://u:{SECRET}@x@h/plant", "percent-encoded"),
        (f"mongodb://u:%zz{SECRET}@h/plant", "percent-encoded"),
        (f"mongodb://u:{SECRET}/x@h/plant", "percent-encode"),
        (f"mongodb://u:{SECRET}?x@h/plant", r"plain `\?`"),
        (f"mongodb://u:a?{SECRET}=1@h/plant", r"plain `\?`"),
        ("mongodb://h:99999", "no number from 1 to 65535"),
        ("mongodb://h/my db", "database's name"),
        ("mongodb://h/?readPreferense=secondary", "did you mean readpreference"),
        ("mongodb://h/?wtimeout=5", "did you mean wtimeoutms"),
        ("mongodb://h/?w=1&w=2", "an option twice"),
        ("mongodb://h/?w=1;j=2&a=3", "both & and ;"),
        ("mongodb://h/?wtimeoutMS=-1", "its option wtimeoutms"),
        ("mongodb://h/?w=-1", "its option w "),
        ("mongodb://h/?journal=maybe", "its option journal"),
        ("mongodb://h/?socketTimeoutMS=abc", "its option sockettimeoutms"),
        ("mongodb://h/?ssl=true&tls=false", "contradict"),
        ("mongodb://h,g/?directConnection=true", "more than one host"),
        ("mongodb://h/?tls=true&tlsCAFile=/no/such/file", "cannot be read"),
        (f"mongodb://h/?authMechanismProperties={SECRET}:1", "supported|cannot read"),
        (f"mongodb://h/?readPreference={SECRET}", "cannot read"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_of_it_shown(uri, told, log):
    with pytest.raises(WrongSettings, match=f"MONGO_URI: .*({told})") as caught:
        read_address(uri)
    assert len(caught.value.problems) == 1
    assert SECRET not in str(caught.value) + "".join(log)


@pytest.mark.parametrize(
    ("database", "collection", "wrong"),
    [
        ("tractian", "workorders", 0),
        ("x" * 63, "y" * 180, 0),
        ("x" * 64, "workorders", 1),
        ("", "", 2),
        ("a.b", "a.b", 1),
        ("a b", "system.x", 2),
        ("é" * 32, "a$b", 2),
        ("x", "y" * 250, 1),
    ],
)
async def test_names_that_mongodb_does_not_allow_are_wrong_settings(make_tracos, database, collection, wrong):
    assert len(wrong_names(database, collection)) == wrong


@pytest.mark.parametrize(
    ("options", "members", "concern", "raised"),
    [
        ("", 3, ("majority", 25_000), []),
        ("w=majority&journal=true", 3, ("majority", 25_000), []),
        ("wtimeoutMS=5000", 3, ("majority", 5_000), []),
        ("wtimeoutMS=0", 3, ("majority", 25_000), []),
        ("wtimeoutMS=60000", 3, ("majority", 25_000), []),
        ("wtimeoutMS=60000&socketTimeoutMS=6000", 3, ("majority", 5_000), []),
        ("w=1", 3, ("majority", 25_000), ["w=1"]),
        ("w=1", 0, ("majority", 25_000), ["w=1"]),
        ("w=2", 5, ("majority", 25_000), ["w=2"]),
        ("w=2", 3, (2, 25_000), []),
        ("w=3", 3, (3, 25_000), []),
        ("w=3&journal=false&wtimeoutMS=7", 3, (3, 7), ["journal=false"]),
        ("w=1&journal=false", 3, ("majority", 25_000), ["w=1", "journal=false"]),
        ("w=two-sites", 5, ("two-sites", 25_000), []),
    ],
)
def test_a_write_concern_is_merged_and_raised_but_never_lowered(options, members, concern, raised):
    said = read_address(f"mongodb://h/?{options}").options
    document, told = durable(said, said.get("sockettimeoutms", 30), members)
    assert ((document["w"], document["wtimeout"]), document["j"], told) == (concern, True, raised)


def test_a_write_that_nobody_waits_for_is_refused():
    with pytest.raises(WrongSettings, match="w=0"):
        durable(read_address("mongodb://h/?w=0").options, 30)


OPTIONS = "&readPreference=secondary&readConcernLevel=local&w=1&journal=false&wtimeoutMS=9000"


async def test_options_that_weaken_are_raised_with_one_line(make_tracos, mongo_uri, log):
    async with make_tracos(mongo_uri + OPTIONS) as tracos:
        collection = tracos._connection.collection
        assert collection.write_concern.document == {"w": "majority", "j": True, "wtimeout": 9_000}
        assert collection.read_concern == ReadConcern("majority")
        assert collection.read_preference == ReadPreference.PRIMARY
    (line,) = [line for line in log if "MONGO_URI" in line]
    assert "w=1 and journal=false" in line


@pytest.mark.parametrize(("seconds", "waits"), [(0, 5_000), (3, 5_000), (12, 10_000), (60, 25_000)])
async def test_a_write_waits_no_longer_to_be_confirmed_than_an_outage_is_ridden_out(
    make_tracos, mongo_uri, seconds, waits
):
    async with make_tracos(mongo_uri, retry_seconds=seconds) as tracos:
        assert tracos._connection.collection.write_concern.document["wtimeout"] == waits


async def test_an_option_in_a_database_or_a_value_is_no_option(make_tracos, mongo_uri):
    """The text of the URI was searched for names of options: `appName=socketTimeoutMS` took the time limit away."""
    async with make_tracos(f"{mongo_uri}&appName=socketTimeoutMS-connectTimeoutMS") as tracos:
        options = tracos._connection._client.options.pool_options
        assert (options.socket_timeout, options.connect_timeout) == (30, 5)


async def test_a_secondary_that_lags_is_not_asked(make_tracos, replica_set, database_name):
    uri = replica_set.uri + "&readPreference=secondary&w=1"
    async with make_tracos(uri) as tracos:
        sink, source = tracos.sink(TERMS), tracos.source(TERMS)
        assert await taken(sink, [envelope(order(1, updated=at(8)))]) == [Outcome.CREATED]
        with replica_set.behind(1):
            await tracos._connection.collection.insert_one({"number": 2})
            assert await taken(sink, [envelope(order(1, updated=at(9), title="new"))]) == [Outcome.UPDATED]
            assert await taken(sink, [envelope(order(1, updated=at(9), title="new"))]) == [Outcome.REPEAT]
            assert [item.payload.readable["number"] async for group in source.read() for item in group] == [2]
        await tracos._connection.collection.database.client.drop_database(database_name)


CASELESS = {"locale": "en", "strength": 1}


async def test_a_collection_that_takes_letters_for_equal_still_tells_orders_apart(make_tracos, orders, database):
    await database.create_collection(orders.name, collation=CASELESS)
    async with make_tracos() as tracos:
        sink = tracos.sink(TERMS)
        batch = [envelope(order("po-1", updated=at(8)), "a"), envelope(order("PO-1", updated=at(8)), "b")]
        assert await taken(sink, batch) == [Outcome.CREATED] * 2
        assert await taken(sink, batch) == [Outcome.REPEAT] * 2
        await orders.update_one({"number": "po-1"}, {"$set": {"title": "PUMP"}})
        plan = await orders.find({"number": {"$in": ["po-1"], **IS_ID}}, collation={"locale": "simple"}).explain()
        assert plan["executionStats"]["totalDocsExamined"] == 1
        plan = await orders.find({"isSynced": {"$ne": True}}, collation={"locale": "simple"}).explain()
        assert plan["executionStats"]["totalDocsExamined"] == 0


async def test_a_guard_tells_an_edit_of_letters_alone(make_tracos, orders, database, monkeypatch):
    await database.create_collection(orders.name, collation=CASELESS)
    async with make_tracos() as tracos:
        sink = tracos.sink(TERMS)
        await taken(sink, [envelope(order("po-1", updated=at(8), title="pump"))])
        write, edits = tracos._connection.write, []

        async def meddled(operations):
            if not edits:
                edits.append(await orders.update_one({}, {"$set": {"title": "PUMP", "updatedAt": "2026-10-30"}}))
            return await write(operations)

        monkeypatch.setattr(tracos._connection, "write", meddled)
        await taken(sink, [envelope(order("po-1", updated=at(9), title="valve"))])
        assert (await orders.find_one({}))["title"] == "PUMP"


@pytest.mark.parametrize(
    "uri", ["mongodb://u:hunter2@x@h/plant", "mongodb://u:hunter2/x@h/plant", "mongodb://h/?foo=1"]
)
def test_a_uri_that_cannot_be_read_is_a_wrong_setting_from_the_command_line(tmp_path, uri):
    environ = {**os.environ, "MONGO_URI": uri, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "pipeline", "run"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "MONGO_URI: " in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert "unexpected" not in done.stderr
