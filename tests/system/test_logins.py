"""Whole runs on a real MongoDB that wants TLS and a login: a refusal is told at once, in one line, without secrets."""

import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from pymongo import MongoClient

from tests.mongo import free_port, require_mongod
from tests.plant import Plant
from tests.tracos.test_reach import TLS, tls_server

pytestmark = pytest.mark.slow  # each refusal takes a second; tests/tracos has quicker ones

PASSWORD = "pl4nted-p4ssw0rd"
LOGIN = f"ada:{PASSWORD}@"
TRUST = f"&tlsCAFile={TLS / 'self.pem'}"


@pytest.fixture(scope="module")
def server():
    """Where it listens, for ``mongodb://``; one user may read and write, another may only read."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        port = free_port()
        command = [
            str(require_mongod()),
            *("--dbpath", folder, "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket", "--quiet"),
            *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(TLS / "self.pem"), "--auth"),
            *("--wiredTigerCacheSizeGB", "0.25"),
        ]
        with Path(folder, "mongod.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            host = f"127.0.0.1:{port}"
            _create(uri(host, login="", more="&serverSelectionTimeoutMS=60000"), "ada", "root")
            _create(uri(host), "bob", {"role": "read", "db": "plant"})
            yield host
        finally:
            process.terminate()
            process.wait(60)


def _create(address, name, role):
    with MongoClient(address) as client:
        client.admin.command({"createUser": name, "pwd": PASSWORD, "roles": [role]})


def uri(host, login=LOGIN, trust=TRUST, more="&serverSelectionTimeoutMS=500"):
    return f"mongodb://{login}{host}/plant?tls=true&authSource=admin{trust}{more}"


def ask(tmp_path, address):
    plant = Plant(tmp_path, address, "plant")
    plant.client.close()
    plant.put("1.json", {"id": tmp_path.name, "status": "NEW", "createdAt": "2026-10-01T08:00:00Z"})
    began = time.monotonic()
    code, out, err = plant.ask("run")
    assert time.monotonic() - began < 15, "it was waited for, as for an outage"
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert PASSWORD.encode() not in b"".join([out.encode(), err.encode(), *written])
    return code, out, err


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_a_run_with_tls_and_a_login(tmp_path, server, mechanism):
    code, out, err = ask(tmp_path, uri(server, more=f"&authMechanism={mechanism}"))
    assert (code, err) == (0, "")
    assert "1 read   1" in out
    assert server in out


@pytest.mark.parametrize(
    ("login", "why"),
    [
        (f"ada:{PASSWORD}x@", "refuses the login"),
        (f"nobody:{PASSWORD}@", "refuses the login"),
        ("", "wants a login"),
        (f"bob:{PASSWORD}@", "lacks the right to"),
    ],
    ids=["wrong password", "no such user", "no login", "may only read"],
)
def test_who_is_refused_is_told_at_once(tmp_path, server, login, why):
    code, _, err = ask(tmp_path, uri(server, login))
    (line,) = err.splitlines()
    assert code == 1
    assert why in line


@pytest.mark.parametrize(
    ("trust", "name", "why"),
    [
        ("", "127.0.0.1", "self-signed certificate"),
        (f"&tlsCAFile={TLS / 'other.pem'}", "127.0.0.1", "self-signed certificate"),
        (TRUST, "localhost", "Hostname mismatch"),
    ],
    ids=["no authority", "another authority", "another name"],
)
def test_a_server_that_is_not_trusted_is_told_at_once(tmp_path, server, trust, name, why):
    code, _, err = ask(tmp_path, uri(server.replace("127.0.0.1", name), trust=trust))
    (line,) = err.splitlines()
    assert code == 1
    assert why in line


def test_a_certificate_that_has_expired_is_told_at_once(tmp_path):
    """No mongod starts with one: it is a server that has nothing else."""
    with tls_server("expired") as port:
        code, _, err = ask(tmp_path, uri(f"127.0.0.1:{port}", trust=f"&tlsCAFile={TLS / 'expired.pem'}"))
    (line,) = err.splitlines()
    assert code == 1
    assert "certificate has expired" in line


def test_a_server_that_wants_tls_and_is_asked_without(tmp_path, server):
    plain = uri(server).replace("tls=true", "tls=false").replace(TRUST, "")
    plant = Plant(tmp_path, plain, "plant")
    plant.client.close()
    code, out, err = plant.ask("run", MONGO_RETRY_SECONDS=1)
    assert code == 1
    assert "tls in MONGO_URI" in err.splitlines()[-1]
    assert PASSWORD not in out + err
