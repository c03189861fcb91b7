"""What the check-up says of logins, rights and majorities; on real servers that ask for them."""

import tempfile
from pathlib import Path

import pytest
from pymongo import MongoClient

from pipeline.errors import Fatal, Outage
from tests.mongo import Mongod, ReplicaSet, until
from tests.tracos.orders import TERMS, at, envelope, order, taken

ORDERS = {"db": "plant", "collection": "workorders"}


@pytest.fixture(scope="module")
def logins():
    """A server that asks for logins, with users of several rights."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        server = Mongod(Path(folder)).start()
        with MongoClient(server.uri) as client:
            client["plant"]["workorders"].insert_one({"number": 1, "status": "created"})
        yield server.with_logins(
            writer=["readWriteAnyDatabase"],
            reader=["readAnyDatabase"],
            narrow=[
                {"resource": ORDERS, "actions": ["find", "insert", "update", "createIndex", "listIndexes"]},
                {"resource": ORDERS | {"collection": "workorders.sync"}, "actions": ["find", "insert", "update"]},
            ],
            alone=[{"resource": ORDERS, "actions": ["find", "insert", "update", "createIndex", "listIndexes"]}],
            inserter=[{"resource": ORDERS, "actions": ["find", "insert", "createIndex", "listIndexes"]}],
            nobody=[],
        )
        server.kill()


@pytest.fixture
def guarded(logins):
    """That server, whose collection has no indexes of ours."""
    with MongoClient(logins.uri_of("writer")) as client:
        client["plant"]["workorders"].drop_indexes()
    return logins


@pytest.fixture
def look(make_tracos, guarded):
    async def look(name, password=None):
        findings = await make_tracos(guarded.uri_of(name, password), database="plant").examine()
        return {one.name: (one.state, one.says) for one in findings}

    return look


@pytest.mark.parametrize("name", ["writer", "narrow"])
async def test_who_may_do_all_that_a_run_does_is_ok(look, name):
    assert (await look(name))["rights"] == ("ok", "all that a run needs on plant.workorders")


async def test_a_server_without_logins_is_ok(make_tracos):
    findings = {one.name: one for one in await make_tracos().examine()}
    assert findings["rights"].says == "this server asks for no login"
    assert "majority" not in findings


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("reader", "insert, update, createIndex on plant.workorders"),
        ("inserter", "update on plant.workorders"),
        ("nobody", "listIndexes on plant.workorders"),
        ("alone", "find, insert, update on plant.workorders.sync"),
    ],
)
async def test_each_right_that_is_missing_is_named_and_nothing_is_written(look, guarded, name, lacks):
    state, says = (await look(name))["rights"]
    assert (state, says) == ("problem", f"lacks the right to {lacks}")
    with MongoClient(guarded.uri_of("writer")) as client:
        assert client["plant"].list_collection_names() == ["workorders"]


@pytest.mark.parametrize(
    ("name", "lacks"), [("reader", "createIndex"), ("inserter", "update"), ("nobody", "listIndexes")]
)
async def test_a_run_says_at_once_which_right_it_lacks(make_tracos, guarded, name, lacks):
    with pytest.raises(Fatal, match=rf"lacks the right to {lacks} on plant\.workorders.*grant it readWrite") as caught:
        async with make_tracos(guarded.uri_of(name), database="plant") as tracos:
            sink = tracos.sink(TERMS)
            await taken(sink, [envelope(order(1, updated=at(9), title="new"))])
    assert not isinstance(caught.value, Outage)
    assert "new" not in str(caught.value)


async def test_a_login_that_is_refused_is_no_missing_right(look, make_tracos, guarded):
    with pytest.raises(Fatal, match=r"refuses the login \(code 18, AuthenticationFailed\)"):
        await make_tracos(guarded.uri_of("reader", "wrong"), database="plant").open()
    assert (await look("reader", "wrong"))["MongoDB"][0] == "problem"


async def test_members_that_cannot_confirm_are_told(make_tracos):
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        members = ReplicaSet(Path(folder), ("data", "data", "arbiter"))
        try:
            uri = members.start().uri + "&wtimeoutMS=300"
            async with make_tracos(uri):
                pass
            findings = {one.name: one for one in await make_tracos(uri).examine()}
            assert findings["majority"].says == "2 members can confirm writes, 2 are needed"
            members.kill(1)
            with members.direct(0) as client:
                until(lambda: any(one["health"] == 0 for one in client.admin.command("replSetGetStatus")["members"]))
            findings = {one.name: one for one in await make_tracos(uri).examine()}
            assert findings["majority"].state == "problem"
            assert findings["majority"].says == "no majority of members can confirm writes: 2 are needed, 1 run"
            with pytest.raises(Outage, match="no majority of its members confirms writes"):
                async with make_tracos(uri, retry_seconds=0.5) as tracos:
                    await taken(tracos.sink(TERMS), [envelope(order(1))])
        finally:
            members.kill()
