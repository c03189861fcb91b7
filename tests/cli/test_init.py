"""``init`` asks five questions, and writes settings that work; what is there stays until somebody says otherwise."""

import json

import pytest

from pipeline.service.customers import customers
from pipeline.service.settings import load
from tests.plant import Plant
from tests.terminal import at_terminal


@pytest.fixture
def home(tmp_path):
    return Plant(tmp_path)


def read(home):
    """The settings as they are read from what was written, and the one client in them."""
    settings = load({"CLIENTS_FILE": str(home.home / "clients.toml")}, home.home / ".env")
    (customer,) = customers(settings).named.values()
    return settings, customer


def files(home):
    return {path.name: path.read_text() for path in home.home.iterdir() if path.is_file()}


def test_without_a_question_the_defaults_lead_to_a_run(home):
    out = home.command("init", "--yes")
    assert out.splitlines()[0] == "written: .env and clients.toml"
    assert "see that all is well: " in out
    settings, customer = read(home)
    assert (settings.mongo_uri, customer.name, customer.kind) == (None, "erp", "erp_json")
    assert [path.stat().st_mode & 0o777 for path in home.home.iterdir()] == [0o600, 0o600]
    home.inbound.mkdir(parents=True)
    assert json.loads(home.command("plan", "--json", "--client", "erp")) == {"writes": [], "dead_letters": []}


def test_five_questions_are_asked_and_nothing_said_is_what_is_shown(home):
    code, said = at_terminal(home, "init", typed="mongodb://h/plant\nacme\ncsv_folder\nin\n\n")
    assert (code, [f"{number}/5 " in said for number in range(1, 7)]) == (0, [True] * 5 + [False])
    settings, customer = read(home)
    assert (settings.mongo_uri, settings.database) == ("mongodb://h/plant", "plant")
    assert (customer.name, customer.kind) == ("acme", "csv_folder")
    assert customer.options == {"inbound_dir": "in", "outbound_dir": "data/outbound"}


@pytest.mark.slow
def test_of_an_api_the_address_is_asked_and_where_the_token_is(home):
    code, said = at_terminal(
        home, "init", "--name", "north", typed="\nrest_json\nhttps://erp.example/orders\nERP_TOKEN\n"
    )
    assert (code, "2/5" in said) == (0, False)
    _, customer = read(home)
    assert customer.options["url"] == "https://erp.example/orders"
    assert customer.options["auth"] == {"type": "bearer", "token_env": "ERP_TOKEN"}


@pytest.mark.parametrize("uri", ["mongodb://u:p%23@h/db?w=1", 'mongodb://u:"a\\b$c@h/db', "mongodb://u:it's@h/db"])
def test_an_address_is_read_as_it_was_said(home, uri):
    home.command("init", "--yes", "--mongo-uri", uri)
    assert read(home)[0].mongo_uri == uri


@pytest.mark.slow
def test_what_is_there_is_never_overwritten_unasked(home):
    (home.home / ".env").write_text("LOG_LEVEL=DEBUG\n")
    before = files(home)
    code, said = at_terminal(home, "init", typed="\n\n\n\n\nn\n")
    assert (code, "overwrite .env? [y/N]" in said, files(home)) == (2, True, before)
    code, _ = at_terminal(home, "init", typed="\n\n\n\n\ny\n")
    assert (code, sorted(files(home))) == (0, [".env", "clients.toml"])
    home.command("init", "--yes", "--overwrite", "--name", "other")
    assert read(home)[1].name == "other"


def test_what_is_there_stays_where_nobody_can_be_asked(home):
    (home.home / ".env").write_text("LOG_LEVEL=DEBUG\n")
    before = files(home)
    code, _, err = home.ask("init", "--yes")
    assert (code, files(home)) == (2, before)
    assert ".env: there already, and nothing was written; --overwrite writes anew" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nobody is there to be asked: --yes takes the defaults"),
        (["--yes", "--kind", "rest_json"], "say where the orders of a rest_json are: --from https://"),
        (["--yes", "--name", "a b"], "clients.toml:2: a b: name: expected letters"),
        (["--yes", "--from", "x", "--to", "x"], "clients.toml:4: erp: inbound_dir: the same as outbound_dir of erp"),
        (["--yes", "--mongo-uri", "postgres://h"], "MONGO_URI: "),
        (["--yes", "--kind", "sap_pm"], "sap_pm"),
    ],
)
def test_what_would_be_wrong_settings_is_not_written(home, arguments, told):
    _, _, err = home.ask("init", *arguments)
    assert told in err
    assert files(home) == {}


@pytest.mark.slow
def test_the_end_of_what_is_typed_is_the_default(home):
    code, _ = at_terminal(home, "init", typed="\x04\x04\x04\x04\x04")
    assert (code, read(home)[1].name) == (0, "erp")
