"""What is remembered of an API never stops its client, and is not written again where it is known."""

import sqlite3
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pipeline.clients import rest_json
from pipeline.clients.connector import ClientSettings
from pipeline.errors import Fatal
from pipeline.transports.http.state import State
from tests.asking import client_of, ids, order, outgoing, pull, push
from tests.places import Vouching, deliver_all
from tests.scripted import Reply

SINCE = {"since_param": "since", "etag": "_etag"}


@pytest.fixture
def server(serve):
    """A server that shows one order, and asks nobody since when."""
    held = order(1) | {"_etag": '"1"'}
    return serve(lambda asked: {"items": [held]} if asked.method == "GET" else Reply(held))


def file(tmp_path):
    return tmp_path / "north.sqlite3"


def asked_since(server):
    return server.asked[-1].query.get("since")


async def begun(server, tmp_path):
    client = client_of(server, tmp_path, **SINCE)
    await pull(client)
    await pull(client)
    assert asked_since(server) == "2026-09-30T23:56:00.000Z"
    return client


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path):
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xaa" * (len(data) - 4096)
    path.write_bytes(bytes(data))


def another_schema(path):
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE read_to (x INTEGER)")
    database.close()


def a_folder(path):
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        [lambda path: path.write_text("garbage" * 1000), cut, overwritten, another_schema, a_folder],
        ids=["garbage", "cut", "overwritten", "another schema", "a folder"],
    )
    async def test_it_is_told_put_aside_and_begun_anew(self, server, tmp_path, log, damage):
        client = await begun(server, tmp_path)
        damage(file(tmp_path))
        assert ids(await pull(client)) == [1]
        assert asked_since(server) is None
        (line,) = [line for line in log if line.startswith("WARNING")]
        assert "north.sqlite3 is damaged" in line
        assert "put aside as north.sqlite3.damaged-" in line
        assert len(list(tmp_path.glob("north.sqlite3.damaged-*"))) == 1
        await pull(client)
        assert asked_since(server) is not None

    async def test_one_that_is_emptied_is_new(self, server, tmp_path):
        client = await begun(server, tmp_path)
        emptied(file(tmp_path))
        await pull(client)
        assert asked_since(server) is None

    async def test_a_journal_that_was_left_beside_it_goes_with_it(self, server, tmp_path):
        client = await begun(server, tmp_path)
        file(tmp_path).write_text("garbage")
        file(tmp_path).with_name("north.sqlite3-journal").write_text("more of it")
        await pull(client)
        assert not file(tmp_path).with_name("north.sqlite3-journal").exists()
        await pull(client)
        assert asked_since(server) is not None

    async def test_damage_in_the_middle_of_a_run_stops_nothing_and_everything_is_read_the_next_time(
        self, server, tmp_path, log
    ):
        client = await begun(server, tmp_path)
        async with client.source(Vouching()) as source:
            async for group in source.read():
                overwritten(file(tmp_path))
                await deliver_all(source, group)
        await pull(client)
        assert asked_since(server) is None
        await pull(client)
        assert asked_since(server) is not None

    @pytest.mark.parametrize(
        "time",
        [
            "9999-12-31T23:59:59+00:00",
            "0001-01-01T00:00:00+00:00",
            "1900-01-01T00:00:00+00:00",
            "2026-10-01T00:00:00",
            "yesterday",
            "",
            pytest.param((datetime.now(UTC) + timedelta(days=30)).isoformat(), id="in a month"),
        ],
    )
    async def test_a_time_that_cannot_be_is_told_and_forgotten(self, server, tmp_path, log, time):
        client = await begun(server, tmp_path)
        with sqlite3.connect(file(tmp_path)) as database:
            database.execute("UPDATE read_to SET time = ?", [time])
        database.close()
        assert ids(await pull(client)) == [1]
        assert asked_since(server) is None
        assert any("holds a time that cannot be" in line for line in log)
        await pull(client)
        assert asked_since(server) is not None

    async def test_a_place_that_cannot_be_used_is_told(self, server, tmp_path):
        (tmp_path / "state").write_text("no folder")
        with pytest.raises(Fatal, match=r"cannot be used .*: set its permissions, or DATA_STATE_DIR"):
            await pull(client_of(server, tmp_path / "state"))

    async def test_one_that_somebody_else_writes_is_not_damaged(self, server, tmp_path, monkeypatch):
        client = await begun(server, tmp_path)
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda path, **more: connect(path, timeout=0.05, **more))
        with connect(file(tmp_path)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(Fatal, match=r"cannot be used .*locked"):
                await pull(client)
        other.close()
        assert not list(tmp_path.glob("*.damaged-*"))


class TestTheWatermark:
    async def test_a_time_without_a_zone_is_in_the_clients(self, serve, tmp_path):
        now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        said = now.astimezone(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None).isoformat()
        server = serve(lambda asked: Reply({"items": [order(1, updatedAt=said)]}, date=""))
        options = {"url": server.url, "items": "items", "since_param": "since"}
        zone = ZoneInfo("Asia/Tokyo")
        client = rest_json.connect(ClientSettings(name="n", options=options, state_dir=tmp_path, timezone=zone))
        await pull(client)
        await pull(client)
        assert asked_since(server) == (now - timedelta(seconds=300)).isoformat().replace("+00:00", ".000Z")

    @pytest.mark.parametrize("date", ["", None])
    async def test_it_is_never_later_than_the_servers_clock_nor_ours_where_there_is_none(self, serve, tmp_path, date):
        server = serve(lambda asked: Reply({"items": [order(1, updatedAt="2090-12-31T23:59:59Z")]}, date=date))
        client = client_of(server, tmp_path, since_param="since")
        await pull(client)
        await pull(client)
        since = datetime.fromisoformat(asked_since(server))
        assert abs(datetime.now(UTC) - timedelta(seconds=300) - since) < timedelta(seconds=30)

    @pytest.mark.parametrize("said", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00", "", "soon", 5, None])
    async def test_a_time_that_nobody_means_is_none(self, serve, tmp_path, said):
        server = serve(lambda asked: {"items": [order(1), order(2, updatedAt=said)]})
        client = client_of(server, tmp_path, since_param="since")
        await pull(client)
        await pull(client)
        assert asked_since(server) == "2026-09-30T23:56:00.000Z"

    async def test_a_time_at_a_path(self, serve, tmp_path):
        server = serve(lambda asked: {"items": [order(1, meta={"at": "2026-10-05T00:00:00Z"})]})
        client = client_of(server, tmp_path, since_param="since", updated="meta.at")
        await pull(client)
        await pull(client)
        assert asked_since(server) == "2026-10-04T23:55:00.000Z"


async def test_an_idle_run_writes_nothing(server, tmp_path):
    client = await begun(server, tmp_path)
    await push(client, outgoing(1))
    await pull(client)
    before = (file(tmp_path).read_bytes(), file(tmp_path).stat().st_mtime_ns)
    for _ in range(2):
        await pull(client)
        assert (file(tmp_path).read_bytes(), file(tmp_path).stat().st_mtime_ns) == before
    assert [path.name for path in tmp_path.iterdir()] == ["north.sqlite3"]


async def test_what_is_remembered_is_its_owners_alone_to_read(tmp_path):
    async with State(tmp_path / "erp.sqlite3") as state:
        await state.set_listed(["1"])
    assert (tmp_path / "erp.sqlite3").stat().st_mode & 0o777 == 0o600
