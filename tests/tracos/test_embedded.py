"""The embedded MongoDB: found, started, stopped, and never left behind."""

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from loguru import logger
from pymongo import MongoClient

from pipeline.errors import Fatal, TracosOutage
from pipeline.tracos import sharing
from pipeline.tracos.connection import Connection
from pipeline.tracos.embedded import embedded_mongod, find_mongod, why_ended
from tests.mongo import mongods, require_mongod, until

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys, time
from pathlib import Path
from pipeline.tracos.embedded import embedded_mongod
with embedded_mongod(Path(sys.argv[1])) as uri:
    print(uri, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _needs_mongod():
    require_mongod()


def script(path, *, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def server_of(data):
    """The pid of the mongod on ``data``, if there is one."""
    return next((pid for pid, command, _ in mongods() if f"--dbpath {data} " in command), None)


def begun(tmp_path):
    """A program that begins to have an embedded server on ``tmp_path / "db"``."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "db")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def child(tmp_path):
    """One that has it."""
    process = begun(tmp_path)
    assert process.stdout.readline().startswith("mongodb://")
    yield process
    process.kill()
    process.communicate()
    until(lambda: server_of(tmp_path / "db") is None)


def test_data_is_kept_between_runs_and_nothing_is_left_behind(tmp_path):
    for expected in (0, 1):
        with embedded_mongod(tmp_path / "db") as uri, MongoClient(uri) as client:
            assert client["a"]["b"].count_documents({}) == expected
            client["a"]["b"].insert_one({})
            folder = Path(client.address[0]).parent
            assert (folder.stat().st_mode & 0o777, [path.name for path in folder.iterdir()]) == (0o700, ["mongod.sock"])
        assert not folder.exists()
        assert server_of(tmp_path / "db") is None


def test_no_tcp_port_is_opened(tmp_path):
    def listening():
        tables = Path("/proc/net/tcp").read_text().splitlines() + Path("/proc/net/tcp6").read_text().splitlines()
        return {line.split()[9] for line in tables if line.split()[3] == "0A"}

    def open_in(process):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since it was listed
                yield str(descriptor.readlink())

    with embedded_mongod(tmp_path / "db"):
        own = set(open_in(server_of(tmp_path / "db")))
        assert any(name.startswith("socket:") for name in own)
        assert not own & {f"socket:[{inode}]" for inode in listening()}


def test_a_second_run_at_the_same_time_uses_the_server_of_the_first_and_leaves_it_running(tmp_path, child):
    first = server_of(tmp_path / "db")
    for _ in range(2):
        with embedded_mongod(tmp_path / "db", binary="not needed") as uri, MongoClient(uri) as client:
            assert client.admin.command("ping")["ok"] == 1
            assert why_ended(uri) == ""
    assert server_of(tmp_path / "db") == first


def test_one_that_is_to_last_or_cannot_reach_the_first_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(sharing, "REACH_SECONDS", 0.2)
    with embedded_mongod(tmp_path / "db") as uri, MongoClient(uri) as client:
        with (
            pytest.raises(Fatal, match="another run is using the embedded MongoDB"),
            embedded_mongod(tmp_path / "db", joins=False),
        ):
            pass
        socket = Path(client.address[0])
        socket.rename(socket.with_suffix(".away"))  # as with a /tmp of its own
        with (
            pytest.raises(Fatal, match="is not to be reached from here: nothing was done"),
            embedded_mongod(tmp_path / "db"),
        ):
            pass
        socket.with_suffix(".away").rename(socket)


@pytest.mark.slow
def test_whoever_comes_while_it_is_started_waits_for_it(tmp_path):
    children = [begun(tmp_path) for _ in range(3)]
    uris = {child.stdout.readline() for child in children}
    assert (len(uris), len([one for one in mongods() if f"--dbpath {tmp_path / 'db'} " in one[1]])) == (1, 1)
    for child in children:
        child.kill()
        child.communicate()
    until(lambda: server_of(tmp_path / "db") is None)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_whoever_uses_the_server_of_a_run_that_ends_is_told_in_one_line(tmp_path, child, number):
    lines = []
    watching = logger.add(lines.append, level="WARNING")
    with embedded_mongod(tmp_path / "db") as uri:
        async with Connection(uri, "a", "b", 1) as connection:
            await connection.ride_out(lambda: connection.collection.find_one({}))
            child.send_signal(number)
            with pytest.raises(TracosOutage, match="has ended with the run that had it: nothing is lost; run this"):
                while True:
                    await connection.ride_out(lambda: connection.collection.find_one({}))
    logger.remove(watching)
    assert lines == []
    with embedded_mongod(tmp_path / "db") as uri, MongoClient(uri) as client:
        assert client.admin.command("ping")["ok"] == 1


SLOW = (pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGTERM, signal.SIGINT))


@pytest.mark.parametrize("number", [signal.SIGKILL, *SLOW])
def test_a_program_that_ends_takes_its_server_with_it(tmp_path, child, number):
    assert server_of(tmp_path / "db") is not None
    child.send_signal(number)
    child.wait(30)
    until(lambda: server_of(tmp_path / "db") is None)
    with embedded_mongod(tmp_path / "db") as uri, MongoClient(uri) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_a_ctrl_c_for_the_whole_terminal_does_not_reach_the_server(tmp_path, child):
    assert os.getpgid(server_of(tmp_path / "db")) != os.getpgid(child.pid)


def test_the_next_run_waits_for_a_server_that_is_still_stopping(tmp_path, child):
    child.kill()
    child.wait(30)
    with embedded_mongod(tmp_path / "db") as uri, MongoClient(uri) as client:
        assert client.admin.command("ping")["ok"] == 1


def test_the_socket_folder_of_a_killed_run_is_removed_by_the_next(tmp_path, child):
    command = next(command for _, command, _ in mongods() if f"--dbpath {tmp_path / 'db'} " in command)
    folder = Path(command.split("--bind_ip ")[1].split()[0]).parent
    child.kill()
    child.wait(30)
    assert folder.exists()
    with embedded_mongod(tmp_path / "db"):
        assert not folder.exists()


def test_without_any_mongod_the_ways_to_get_one_are_told(monkeypatch):
    monkeypatch.setattr("pipeline.tracos.embedded.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Fatal, match=r"extra `embedded`.*docker compose.*MONGO_URI.*MONGOD_BIN"):
        find_mongod()


def test_the_one_that_is_named_is_taken_and_must_be_a_program(tmp_path):
    (tmp_path / "file").write_text("no program")
    for wrong in (tmp_path / "file", tmp_path, tmp_path / "nothing"):
        with pytest.raises(Fatal, match="MONGOD_BIN"):
            find_mongod(str(wrong))
    assert find_mongod(script(tmp_path / "mongod", text="true")) == tmp_path / "mongod"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo error while loading shared libraries: libcurl.so.4 >&2; exit 127", "libcurl.so.4"),
        ('echo \'{"s":"F","msg":"x","attr":{"error":"No space left on device"}}\'; exit 14', "No space left on device"),
        ("exit 9", "exit code 9"),
    ],
)
def test_a_server_that_does_not_start_says_why(tmp_path, text, told):
    with (
        pytest.raises(Fatal, match=rf"did not start: .*{told}.*mongod\.log"),
        embedded_mongod(tmp_path / "db", binary=script(tmp_path / "mongod", text=text)),
    ):
        pass


def test_a_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "db").write_text("a file")
    with pytest.raises(Fatal, match="cannot use the folder"), embedded_mongod(tmp_path / "db"):
        pass
