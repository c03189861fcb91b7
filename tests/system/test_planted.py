"""Planted secrets, and planted values of orders, looked for in everything that the program writes."""

import re
import select
import sqlite3
import tempfile
import urllib.request
from pathlib import Path

import msgspec
import pytest

from pipeline.deadletters import DeadLetterOffice
from pipeline.testing import FakeErp
from tests.mongo import Mongod
from tests.plant import Plant

pytestmark = pytest.mark.slow  # thirteen commands at four levels in two forms

SECRETS = {name: f"pl4nted-{name}" for name in ("login", "bearer", "key", "password", "oauth", "signature")}
VALUE = "Pl4nted value"

CLIENTS = """\
[clients.files]
kind = "erp_json"
collection = "files"
inbound_dir = "data/inbound"
outbound_dir = "data/outbound"

[clients.bearer]
kind = "rest_json"
collection = "bearer"
url = "{url}"
params = {{ sig = "{signature}" }}
items = "items"
page = "link"
page_size = 2
auth = {{ type = "bearer", token_env = "ACME_TOKEN" }}

[clients.key]
kind = "rest_json"
collection = "key"
url = "{url}"
headers = {{ X-Signed = "{signature}" }}
auth = {{ type = "api_key", key_env = "ACME_KEY", header = "X-API-Key" }}

[clients.basic]
kind = "rest_json"
collection = "basic"
url = "http://127.0.0.1:1/orders?sig={signature}"
auth = {{ type = "basic", user_env = "ACME_USER", password_env = "ACME_PASSWORD" }}

[clients.oauth]
kind = "rest_json"
collection = "oauth"
url = "{url}"
auth = {{ type = "oauth2", token_url = "{token_url}", client_id_env = "ACME_USER", client_secret_env = "ACME_OAUTH" }}
"""

VALUES_BELONG = (
    "data/inbound/",
    "data/outbound/",
    "data/dead-letter/",
    "data/decisions.jsonl",
)
"""Where values of orders may stand: the client's own files, letters, and what gave way."""

SHOWS_VALUES = {"plan", "reconcile", "explain", "conflicts", "dead-letters"}
"""The commands whose work is to show them."""

COMMANDS = [
    ("run",),
    ("plan",),
    ("reconcile",),
    ("doctor",),
    ("history",),
    ("explain", "1"),
    ("conflicts", "list"),
    ("dead-letters", "list"),
    ("dead-letters", "stats"),
    ("dead-letters", "retry", "--all"),
    ("clients", "list"),
    ("graph",),
    ("run", "--nonsense"),
]


def order(number, **more):
    return {"id": number, "status": "NEW", "createdAt": "2026-10-01T08:00:00Z", "title": f"{VALUE} {number}", **more}


@pytest.fixture(scope="module")
def server():
    """A MongoDB with a login whose name and password are one secret."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        mongod = Mongod(Path(folder)).start()
        yield mongod.with_logins(**{SECRETS["login"]: ["root"]})
        mongod.kill()


@pytest.fixture(scope="module")
def erp():
    """One that refuses an order in words that hold a value, and takes one login of all."""
    with FakeErp(token=f"Bearer {SECRETS['bearer']}") as erp:
        for number in range(1, 6):
            erp.put(order(number, updatedAt="2026-10-01T08:00:00Z"))
        erp.put(order(6, status=f"{VALUE} as a status"))
        erp.refuse["50"] = f"no: {VALUE} is no title"
        yield erp


@pytest.fixture
def planted(tmp_path, server, erp):
    """A plant full of secrets, and of values of orders, good and bad."""
    plant = Plant(tmp_path, server.uri_of(SECRETS["login"]), f"planted-{tmp_path.name[-8:]}")
    plant.environ |= {"CLIENTS_FILE": "clients.toml", "ACME_TOKEN": SECRETS["bearer"], "ACME_KEY": SECRETS["key"]}
    plant.environ |= {"ACME_USER": "ada", "ACME_PASSWORD": SECRETS["password"], "ACME_OAUTH": SECRETS["oauth"]}
    token_url = erp.url.replace("/orders", "/token")
    toml = CLIENTS.format(url=erp.url, token_url=token_url, signature=SECRETS["signature"])
    (tmp_path / "clients.toml").write_text(toml)
    database = plant.client[plant.environ["MONGO_DATABASE"]]
    plant.put("good.json", order(1, updatedAt="2026-10-03T08:00:00Z"))
    plant.put("bad.json", order(2, status=f"{VALUE} as a status", createdAt=f"{VALUE} as a date"))
    plant.put("broken.json", msgspec.json.encode(order(3))[:-9])
    plant.put("odd.ndjson", b"\n".join(map(msgspec.json.encode, [order(4, key=VALUE), [VALUE], VALUE])))
    conflict = {"number": 1, "title": f"{VALUE} of ours", "status": "created", "updatedAt": "2026-10-02T08:00:00Z"}
    database["files"].insert_many([conflict, {"number": 7, "title": {"no": VALUE}, "status": VALUE}])
    born = {"title": f"{VALUE} born here", "status": "created", "createdAt": "2026-10-01T08:00:00Z"}
    database["bearer"].insert_one({"number": 50, **born})
    yield plant
    plant.client.drop_database(database.name)
    plant.client.close()


def files(plant):
    """What the program has written, by path; SQLite's files as what they say, too."""
    for path in plant.home.rglob("*"):
        if path.is_file() and path.name != "clients.toml":
            yield str(path.relative_to(plant.home)), path.read_bytes()
        if path.suffix == ".sqlite3":
            with sqlite3.connect(path) as database:
                yield str(path.relative_to(plant.home)), "".join(database.iterdump()).encode()


def leaks(text):
    return [name for name, secret in SECRETS.items() if secret in text]


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("level", ["TRACE", "DEBUG", "INFO", "ERROR"])
def test_no_command_shows_a_secret_and_no_log_a_value(planted, level, style):
    for command in COMMANDS:
        _, out, err = planted.ask(*command, LOG_LEVEL=level, LOG_FORMAT=style, MONGO_RETRY_SECONDS=1)
        assert leaks(out + err) == [], command
        assert VALUE not in err, command
        assert VALUE not in out or command[0] in SHOWS_VALUES, command
    written = dict(files(planted))
    assert [(path, leaks(body.decode(errors="replace"))) for path, body in written.items() if b"pl4nted" in body] == []
    holding = [path for path, body in written.items() if VALUE.encode() in body]
    assert [path for path in holding if not path.startswith(VALUES_BELONG)] == []
    assert {path.split("/")[1] for path in holding} == {"inbound", "dead-letter", "decisions.jsonl"}


def test_what_holds_values_is_its_owners_alone(planted):
    planted.ask("run")
    for path in (planted.home / "data").rglob("*"):
        if str(path.relative_to(planted.home)).startswith(("data/dead-letter/", "data/decisions.jsonl", "data/state/")):
            assert path.stat().st_mode & 0o077 == 0, path


def test_the_page_shows_no_secret(planted):
    planted.ask("run")
    process = planted.start("pipeline/__main__.py", "inspect", LOG_LEVEL="TRACE")
    try:
        assert select.select([process.stdout], [], [], 30)[0]
        address = re.search(r"http://\S+/", process.stdout.readline())[0]
        ids = [f"letters/{filed.id}" for filed in DeadLetterOffice(planted.home / "data/dead-letter").find()]
        assert len(ids) > 3
        for page in ("", "conflicts", "runs", *ids):
            with urllib.request.urlopen(address + page) as answer:
                assert leaks(answer.read().decode()) == [], page
    finally:
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert leaks(out + err) == []
    assert VALUE not in out + err


def test_these_checks_see_a_secret_and_a_value(planted, monkeypatch):
    from pipeline.transports.folder import files as room

    monkeypatch.setattr(room, "unreadable", lambda error: room.Reason(SECRETS["key"] + VALUE))
    planted.put("nowhere.json", b"").unlink()
    (planted.inbound / "nowhere.json").symlink_to("there")
    _, _, err = planted.ask("run", MONGO_RETRY_SECONDS=1)
    assert (leaks(err), VALUE in err) == (["key"], True)
