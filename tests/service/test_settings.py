"""Settings: from the environment and .env, all mistakes at once."""

from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from pipeline.errors import WrongSettings
from pipeline.service.settings import Settings, load


def problems(tmp_path, **environ):
    with pytest.raises(WrongSettings) as caught:
        load(environ, tmp_path / ".env")
    return caught.value.problems


def test_without_any_there_are_defaults(tmp_path):
    settings = load({}, tmp_path / ".env")
    assert msgspec.structs.replace(settings, secrets=Settings().secrets) == Settings()
    assert (settings.mongo_uri, settings.database, settings.mongo_collection) == (None, "tractian", "workorders")
    assert settings.data_inbound_dir == Path("data/inbound")
    assert (settings.clients, settings.client_layout) == ((), None)
    assert (settings.mongo_retry_seconds, settings.sync_max_deletes) == (60, 1000)


def test_the_environment_wins_over_the_file_and_empty_is_not_set(tmp_path):
    (tmp_path / ".env").write_text("MONGO_COLLECTION=file\nCLIENT_LAYOUT=flag_order\nDATA_STATE_DIR='a $HOME b'\n")
    settings = load({"MONGO_COLLECTION": "environment", "CLIENT_LAYOUT": ""}, tmp_path / ".env")
    assert (settings.mongo_collection, settings.client_layout, settings.data_state_dir) == (
        "environment",
        None,
        Path("a $HOME b"),
    )


def test_each_is_read_in_its_kind(tmp_path):
    settings = load(
        {
            "CLIENT_TIMEZONE": "America/Sao_Paulo",
            "CLIENTS": " their_erp ",
            "INBOUND_AFTER": "Archive",
            "LOG_LEVEL": "debug",
            "MONGO_RETRY_SECONDS": "0.5",
            "SYNC_MAX_DELETES": "0",
            "DATA_OUTBOUND_DIR": "/srv/out",
        },
        tmp_path / ".env",
    )
    assert (settings.client_timezone, settings.clients) == (ZoneInfo("America/Sao_Paulo"), ("their_erp",))
    assert (settings.inbound_after, settings.log_level) == ("archive", "DEBUG")
    assert (settings.mongo_retry_seconds, settings.sync_max_deletes) == (0.5, 0)
    assert settings.data_outbound_dir == Path("/srv/out")


@pytest.mark.parametrize(
    ("uri", "database"),
    [
        ("mongodb://h", "tractian"),
        ("mongodb://h/", "tractian"),
        ("mongodb://u:p@a,b:2/plant%2D1?w=1", "plant-1"),
        ("mongodb://%2Ftmp%2Fm.sock/plant", "plant"),
        ("mongodb+srv://h/plant", "plant"),
    ],
)
def test_the_database_may_be_named_by_the_uri(tmp_path, uri, database):
    assert load({"MONGO_URI": uri}, tmp_path / ".env").database == database
    assert load({"MONGO_URI": uri, "MONGO_DATABASE": "own"}, tmp_path / ".env").database == "own"


def test_all_mistakes_are_told_at_once_and_no_value_is_repeated(tmp_path):
    found = problems(
        tmp_path,
        CLIENT_TIMEZONE="Mars/Olympus",
        INBOUND_AFTER="burn-secret",
        LOG_LEVEL="LOUD-secret",
        LOG_FORMAT="xml-secret",
        MONGO_RETRY_SECONDS="nan",
        SYNC_MAX_DELETES="-1",
        CLIENTS="a,b",
        DATA_OUTBOUND_DIR="data/inbound",
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "MONGO_RETRY_SECONDS",
        "CLIENT_TIMEZONE",
        "INBOUND_AFTER",
        "SYNC_MAX_DELETES",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "CLIENTS",
        "DATA_INBOUND_DIR",
        "DATA_OUTBOUND_DIR",
    ]
    assert "secret" not in "".join(found)
    assert "keep, archive or delete" in found[2]


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/passwd", "", "UTC\n", "a" * 5000])
def test_a_time_zone_is_a_name_and_no_path(tmp_path, zone):
    if zone:
        assert "CLIENT_TIMEZONE" in problems(tmp_path, CLIENT_TIMEZONE=zone)[0]


def test_folders_that_are_one_folder_are_told_however_they_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("data/outbound")
    assert problems(tmp_path, DATA_INBOUND_DIR="./link") == (
        "DATA_INBOUND_DIR: the same as DATA_OUTBOUND_DIR: each needs a place of its own",
        "DATA_OUTBOUND_DIR: the same as DATA_INBOUND_DIR: each needs a place of its own",
    )


@pytest.mark.parametrize(
    ("said", "inner", "outer"),
    [
        ({"DATA_DEAD_LETTER_DIR": "data/inbound/dead"}, "DATA_DEAD_LETTER_DIR", "DATA_INBOUND_DIR"),
        ({"DATA_JOURNAL": "data/outbound/runs.json"}, "DATA_JOURNAL", "DATA_OUTBOUND_DIR"),
        ({"DATA_DECISION_LOG": "data/dead-letter/x/y"}, "DATA_DECISION_LOG", "DATA_DEAD_LETTER_DIR"),
        ({"DATA_OUTBOUND_DIR": "data/mongo"}, "DATA_OUTBOUND_DIR", "DATA_MONGO_DIR"),
        ({"DATA_STATE_DIR": "data/runs.jsonl"}, "DATA_STATE_DIR", "DATA_JOURNAL"),
        ({"DATA_INBOUND_DIR": "/", "DATA_MONGO_DIR": "/x"}, "DATA_JOURNAL", "DATA_INBOUND_DIR"),
    ],
)
def test_no_place_is_another_or_lies_in_another(tmp_path, monkeypatch, said, inner, outer):
    monkeypatch.chdir(tmp_path)
    told = [line.partition(": ") for line in problems(tmp_path, **said)]
    assert any(name == inner and outer in what for name, _, what in told)
    assert any(name == outer and inner in what for name, _, what in told)


def test_the_embedded_servers_folder_is_nobodys_where_there_is_none(tmp_path):
    load({"MONGO_URI": "mongodb://h", "DATA_INBOUND_DIR": "data/mongo"}, tmp_path / ".env")


@pytest.mark.parametrize(
    ("said", "setting"),
    [
        ({"MONGO_DATABASE": "a b"}, "MONGO_DATABASE"),
        ({"MONGO_DATABASE": "a.b"}, "MONGO_DATABASE"),
        ({"MONGO_DATABASE": "x" * 64}, "MONGO_DATABASE"),
        ({"MONGO_DATABASE": "admin"}, "MONGO_DATABASE"),
        ({"MONGO_URI": "mongodb://u:p@h/admin"}, "MONGO_URI"),
        ({"MONGO_URI": "mongodb://u:p@h/local", "MONGO_DATABASE": "config"}, "MONGO_DATABASE"),
        ({"MONGO_COLLECTION": "system.orders"}, "MONGO_COLLECTION"),
        ({"MONGO_COLLECTION": "a$b"}, "MONGO_COLLECTION"),
        ({"MONGO_COLLECTION": ".a"}, "MONGO_COLLECTION"),
    ],
)
def test_a_name_that_mongodb_refuses_or_has_for_itself_is_told(tmp_path, said, setting):
    (told,) = problems(tmp_path, **said)
    assert told.startswith(f"{setting}: the {'collection' if 'COLL' in setting else 'database'} ")
    load({"MONGO_URI": "mongodb://u:p@h/admin", "MONGO_DATABASE": "plant"}, tmp_path / ".env")


@pytest.mark.parametrize("name", ["MONGO_DATABASE", "MONGO_COLLECTION"])
def test_a_name_that_is_no_utf_8_is_told(tmp_path, name):
    (problem,) = problems(tmp_path, **{name: "caf\udce9"})
    assert problem.startswith(f"{name}: ")
    assert problem.isprintable()
