"""A real mongod for the tests, that can be killed and started again on the same data and socket."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from pymongo import MongoClient, WriteConcern
from pymongo.errors import PyMongoError

from pipeline.errors import Fatal
from pipeline.tracos.embedded import find_mongod


def require_mongod() -> Path:
    """The mongod's path; without one the test is skipped, or fails where REQUIRE_MONGOD=1."""
    try:
        return find_mongod()
    except Fatal as error:
        if os.environ.get("REQUIRE_MONGOD") == "1":
            pytest.fail(f"REQUIRE_MONGOD=1, but {error}")
        pytest.skip("no mongod here")


def mongods() -> list[tuple[int, str, str]]:
    """The mongods that run: pid, command line, current folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes().decode().replace("\0", " ")
                if "mongod" in command and "--dbpath" in command:
                    found.append((int(process.name), command, str((process / "cwd").readlink())))
    return found


class Mongod:
    """A standalone server, or with ``replica_set`` a set of one, on a Unix socket in ``folder`` (a short path)."""

    def __init__(self, folder: Path, *, replica_set: bool = False) -> None:
        self.socket = folder / "m.sock"
        self.uri = f"mongodb://{quote_plus(str(self.socket))}/?directConnection=true&heartbeatFrequencyMS=500"
        self._data = folder / "db"
        self._data.mkdir()
        self._replica_set = replica_set
        self._extra = ("--replSet", "rs") if replica_set else ()
        self._process: subprocess.Popen | None = None

    def start(self) -> "Mongod":
        command = [
            str(require_mongod()),
            *("--dbpath", str(self._data), "--bind_ip", str(self.socket), "--nounixsocket"),
            *("--wiredTigerCacheSizeGB", "0.25", "--quiet", *self._extra),
            *("--setParameter", "enableTestCommands=1"),
        ]
        with (self._data.parent / "mongod.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(self.socket))
                except OSError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        raise
                    time.sleep(0.02)
                else:
                    break
        if self._replica_set:
            with MongoClient(self.uri) as client:
                members = [{"_id": 0, "host": str(self.socket)}]
                client.admin.command("replSetInitiate", {"_id": "rs", "members": members})
        return self

    def with_logins(self, **roles) -> "Mongod":
        """Start it anew with logins: users of these names, each with its name as the password, and its roles."""
        with MongoClient(self.uri) as client:
            for name, granted in roles.items():
                own = [role for role in granted if isinstance(role, dict)]
                if own:
                    client.admin.command({"createRole": f"{name}-role", "privileges": own, "roles": []})
                roles_of = [role for role in granted if not isinstance(role, dict)] + [f"{name}-role"] * bool(own)
                client.admin.command({"createUser": name, "pwd": name, "roles": roles_of})
        self.stop()
        self._extra = (*self._extra, "--auth")
        return self.start()

    def uri_of(self, name: str, password: str | None = None) -> str:
        """The URI with a login."""
        return self.uri.replace("//", f"//{name}:{password or name}@") + "&authSource=admin"

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None


class ReplicaSet:
    """Several members on loopback, of which the first is the primary; ``kinds`` says what each is: data or arbiter.

    ``doors`` makes of the ports on which they listen those under which they and their clients find each other.
    """

    def __init__(
        self, folder: Path, kinds=("data", "data", "data"), *, doors=lambda ports: ports, election_ms=2000
    ) -> None:
        self._kinds = kinds
        self._ports = [free_port() for _ in kinds]
        self._doors = doors(self._ports)
        self._folder = folder
        self._election_ms = election_ms
        self.members: list[subprocess.Popen | None] = [None] * len(kinds)

    @property
    def uri(self) -> str:
        hosts = ",".join(f"127.0.0.1:{door}" for door in self._doors)
        return f"mongodb://{hosts}/?replicaSet=rs&heartbeatFrequencyMS=500&serverSelectionTimeoutMS=5000"

    def start(self) -> "ReplicaSet":
        for number in range(len(self._kinds)):
            self.start_member(number)
        members = [
            {"_id": number, "host": f"127.0.0.1:{door}", "priority": 2 - (number > 0)}
            if kind == "data"
            else {"_id": number, "host": f"127.0.0.1:{door}", "arbiterOnly": True}
            for number, (kind, door) in enumerate(zip(self._kinds, self._doors, strict=True))
        ]
        settings = {
            "electionTimeoutMillis": self._election_ms,
            "heartbeatIntervalMillis": self._election_ms // 10,
            "chainingAllowed": False,
        }
        with self.direct(0) as client:
            client.admin.command("replSetInitiate", {"_id": "rs", "members": members, "settings": settings})
            # Else a server of this line refuses writes that wait for a majority where an arbiter votes.
            until(lambda: client.admin.command("hello").get("isWritablePrimary"))
        with MongoClient(self.uri) as client:
            client["warm"]["up"].with_options(write_concern=WriteConcern(w=self._kinds.count("data"))).insert_one({})
        return self

    def start_member(self, number: int) -> None:
        data = self._folder / f"db{number}"
        data.mkdir(exist_ok=True)
        command = [
            str(require_mongod()),
            *("--dbpath", str(data), "--bind_ip", "127.0.0.1", "--port", str(self._ports[number]), "--nounixsocket"),
            *("--wiredTigerCacheSizeGB", "0.25", "--quiet", "--replSet", "rs", "--oplogSize", "64"),
            *("--setParameter", "enableTestCommands=1"),
        ]
        with (self._folder / f"mongod{number}.log").open("ab") as log:
            self.members[number] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(lambda: _listens(self._ports[number]))

    def direct(self, number: int) -> MongoClient:
        """A client of one member."""
        return MongoClient(f"mongodb://127.0.0.1:{self._ports[number]}/?directConnection=true")

    @contextlib.contextmanager
    def behind(self, *numbers: int):
        """Members that take no more of what the primary writes."""
        self._replicate(numbers, "alwaysOn")
        try:
            yield
        finally:
            self._replicate(numbers, "off")

    def _replicate(self, numbers, mode):
        for number in numbers:
            with self.direct(number) as client:
                client.admin.command({"configureFailPoint": "stopReplProducer", "mode": mode})

    def signal(self, member: int, number: int) -> None:
        self.members[member].send_signal(number)

    def kill(self, *numbers: int) -> None:
        for number in numbers or range(len(self.members)):
            if (process := self.members[number]) is not None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(60)
                self.members[number] = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def fail_commands(uri, *commands, times=1, **data):
    """Let the server fail ``commands`` of ours, ``times`` in all (or "alwaysOn"); ``data`` is the fail point's."""
    mode = {"times": times} if isinstance(times, int) else times
    data = {"failCommands": list(commands), "appName": "workorder-sync", **data}
    with MongoClient(uri) as client:
        client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
        try:
            yield
        finally:
            client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


def again(operation, seconds=60):
    """The result of ``operation``, which is idempotent: tried until MongoDB does it, as people do in an election."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return operation()
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def until(condition, seconds=60):
    """Wait for ``condition``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
