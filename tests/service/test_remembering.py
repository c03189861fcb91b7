"""What clients remember: that of the release before is understood, that of a later one is not; shown, reset, set."""

import os
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from pipeline.clients.connector import ClientSettings
from pipeline.clients.registry import find_client
from pipeline.dataflow.ports import NOTHING_IS_SURE
from pipeline.deadletters import DeadLetterOffice
from pipeline.service.drift import KnownKeys
from pipeline.testing import FakeErp
from pipeline.transports.folder import known
from pipeline.transports.folder.known import KnownFiles
from pipeline.transports.http.state import State
from tests.asking import ids, order, pull
from tests.places import Vouching

BEFORE = Path(__file__).parents[1] / "state_of_before"
URL = "https://erp.example/orders"


@pytest.fixture
def erp():
    with FakeErp(merges=True) as erp:
        yield erp


@pytest.fixture
def home(tmp_path):
    """A state folder as the release before left it."""
    shutil.copytree(BEFORE, tmp_path / "state")
    return tmp_path / "state"


class TestBefore:
    """State files of the release that gave them no version."""

    async def test_an_api_is_read_on_from_where_it_was(self, home):
        path = home / "north.sqlite3"
        for _ in range(2):
            async with State(path) as state:
                assert await state.watermark(URL) == datetime(2026, 10, 31, 12, tzinfo=UTC)
                assert await state.etags(["1", "2"]) == {"1": '"v1"'}
                assert await state.addresses(["1"]) == {"1": "https://erp.example/orders/1"}
                assert [one async for one in state.listed()] == [["1", "2"]]
                assert [one async for one in state.proofs()] == [[b"proof", b""]]
                assert (await state.failures(["3"]), await state.twins()) == ({"3": 2}, {"4": "104"})
            written = path.stat().st_mtime_ns
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (1,)
        database.close()
        async with State(path):
            pass
        assert path.stat().st_mtime_ns == written

    async def test_known_files_are_not_read_again(self, home, monkeypatch):
        index = KnownFiles(home / "erp_json.files", "as ever", witness := Vouching())
        monkeypatch.setattr(witness, "hold", _same)
        monkeypatch.setattr(known, "_mark", lambda state: 5)
        await index.recall()
        assert (index.spares("b.json", home.stat()), index.spares("c.json", home.stat())) == (True, False)

    def test_known_keys_are_no_drift(self, home):
        keys = KnownKeys(erp_json(home), home / "erp_json.keys", "report")
        assert [finding.says for finding in keys.findings()] == []
        keys.client.validate({"id": 1, "status": "NEW", "createdAt": "2026-10-01", "crew": "x"})
        assert list(keys.remember(is_whole=False)) == []
        keys.client.validate({"id": 1, "status": "NEW", "createdAt": "2026-10-01", "more": "x"})
        assert len(keys.remember(is_whole=False)) == 1
        assert msgspec.json.decode((home / "erp_json.keys").read_bytes())["version"] == 1


async def _same(proofs):
    return proofs


def erp_json(home):
    options = {"inbound_dir": home / "in", "outbound_dir": home / "out"}
    return find_client("erp_json")(ClientSettings(name="erp_json", options=options, state_dir=home))


class TestLater:
    """State files of a version that nobody here knows: the program was rolled back."""

    async def test_everything_is_read_again_and_what_there_was_is_put_aside(self, home, log):
        path = home / "north.sqlite3"
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 2")
        database.close()
        async with State(path) as state:
            assert await state.watermark(URL) is None
        (aside,) = home.glob("north.sqlite3.damaged-*")
        assert [line for line in log if "put aside" in line] == [
            f"WARNING {path} is of a later version: put aside as {aside.name}; everything is read again"
        ]

    async def test_no_file_is_known(self, home):
        body = msgspec.msgpack.decode((home / "erp_json.files").read_bytes())
        (home / "erp_json.files").write_bytes(msgspec.msgpack.encode([*body, 2]))
        index = KnownFiles(home / "erp_json.files", "as ever", NOTHING_IS_SURE)
        await index.recall()
        assert not index._before

    def test_keys_are_begun_anew(self, home, log):
        (home / "erp_json.keys").write_bytes(b'{"version": 2, "layouts": {}}')
        keys = KnownKeys(erp_json(home), home / "erp_json.keys", "report")
        keys.client.validate({"id": 1, "status": "NEW", "createdAt": "2026-10-01"})
        assert list(keys.remember(is_whole=True)) == []
        assert any("which keys are known is begun anew" in line for line in log)


def record(number, **more):
    return {"id": number, "status": "NEW", "createdAt": "2026-10-01", "updatedAt": "2026-10-02"} | more


class TestCommands:
    def test_a_client_of_folders_reads_again_what_is_newer_or_after_a_reset_everything(self, plant):
        plant.put("1.json", record(1))
        plant.put("2.json", record(2))
        os.utime(plant.inbound / "2.json", (plant.clock + 86_400,) * 2)
        plant.command("run")
        before = plant.state()
        since = datetime.fromtimestamp(plant.clock + 86_400, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert "1 read" in plant.command("run", "--since", since)
        assert "0 read" in plant.command("run")
        assert plant.state()[1] == before[1]
        assert plant.command("state", "show").splitlines() == [
            "erp_json\terp_json.files\t2\t2 files are not read again before they change",
            "erp_json\terp_json.keys\t1\t4 keys are known in status_order",
        ]
        assert plant.command("state", "reset", "erp_json") == (
            "forgotten: erp_json.files, erp_json.keys; the next run reads everything\n"
        )
        assert plant.shown(80, "state", "show") == "nothing is remembered in data/state\n"
        assert plant.command("state", "reset", "erp_json") == "nothing was remembered\n"
        assert "2 read" in plant.command("run")
        assert plant.state()[1] == before[1]

    def test_what_cannot_be_is_told_and_changes_nothing(self, plant):
        plant.put("1.json", record(1))
        plant.put("bad.json", b"{")
        plant.command("run")
        before = plant.state()
        for arguments, why in (
            (["reset", "south"], "no client 'south'; they have: erp_json"),
            (["show", "--client", "south"], "no client 'south'"),
            (["set", "erp_json", "--since", "2026-10-01"], "nothing of it is read up to a time"),
            (["set", "erp_json", "--since", "2999-10-01"], "a time since 1970 that is over"),
            (["set", "erp_json", "--since", "yesterday"], "RFC 3339"),
        ):
            code, _, err = plant.ask("state", *arguments)
            assert (code, err.count("\n"), why in err) == (2, 1, True), err
        with DeadLetterOffice(plant.home / "data/dead-letter").taken("erp_json"):
            code, _, err = plant.ask("state", "reset", "erp_json")
            assert (code, "another run is using the dead letters" in err) == (1, True)
        assert plant.state() == before
        (plant.home / "data/state/erp_json.files").write_bytes(b"\xc1")
        (plant.home / "data/state/erp_json.own").write_bytes(b"")
        said = plant.command("state", "show", "--json")
        assert {one["file"]: one["version"] for one in msgspec.json.decode(said)} == {
            "erp_json.files": None,
            "erp_json.keys": 1,
            "erp_json.own": None,
        }


class TestSince:
    """An API that is asked for what changed since a time of a person's."""

    OPTIONS: ClassVar = {
        "items": "items",
        "since_param": "updated_since",
        "page": "page",
        "page_size": 10,
        "overlap": 60.0,
    }

    def client(self, erp, tmp_path, since=None, **more):
        options = {**self.OPTIONS, "url": erp.url} | more
        return find_client("rest_json")(ClientSettings(name="north", options=options, state_dir=tmp_path, since=since))

    async def test_the_watermark_stays_as_it_is(self, erp, tmp_path):
        for number in range(30):
            erp.put(order(number))
        await pull(self.client(erp, tmp_path))
        for minute in (5, 29):
            since = datetime(2026, 10, 1, 0, minute, tzinfo=UTC)
            assert ids(await pull(self.client(erp, tmp_path, since))) == list(range(minute, 30))
        erp.put(order(31))
        assert ids(await pull(self.client(erp, tmp_path, datetime(2026, 10, 1, 0, 31, tzinfo=UTC)))) == [31]
        assert ids(await pull(self.client(erp, tmp_path))) == [28, 29, 31]

    def test_it_is_set_also_before_anything_was_read(self, erp, plant):
        for number in range(30):
            erp.put(order(number))
        said = "\n".join(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in self.OPTIONS.items())
        client = f'[clients.north]\nkind = "rest_json"\nurl = "{erp.url}"\n{said}\n'
        (plant.home / "clients.toml").write_text(client)
        files = {"CLIENTS_FILE": "clients.toml"}
        assert plant.command("state", "set", "north", "--since", "2026-10-01T00:25", **files) == (
            "north: the next run reads what changed since 2026-10-01 00:25:00 UTC\n"
        )
        assert "6 read" in plant.command("run", **files)
        shown = plant.command("state", "show", **files)
        assert f"north.sqlite3\t1\t{erp.url} is read up to 2026-10-01T00:29:00+00:00\n" in shown
        assert "north.sqlite3\t1\t6 orders were taken\n" in shown
        plant.command("state", "set", "north", "--since", "2026-10-01T00:01", **files)
        assert "30 read" in plant.command("run", **files)
        assert "30 read" in plant.command("run", "--since", "2026-10-01", **files)
        (plant.home / "clients.toml").write_text(client.replace('since_param = "updated_since"', ""))
        code, _, err = plant.ask("state", "set", "north", "--since", "2026-10-01", **files)
        assert (code, "it has no since_param" in err) == (2, True)
