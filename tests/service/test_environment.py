"""What looks like a setting and is none is refused; what is another program's is left alone."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import WrongSettings
from pipeline.service.environment import meant
from pipeline.service.settings import Settings, load

KNOWN = [name.upper() for name in Settings.__struct_fields__ if name != "secrets"]


def problems(tmp_path, **environ):
    with pytest.raises(WrongSettings) as caught:
        load(environ, tmp_path / ".env")
    return caught.value.problems


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("MONGO_URL", "MONGO_URI"),
        ("MONGODB_URI", "MONGO_URI"),
        ("mongo_uri", "MONGO_URI"),
        ("MONGO_DB", "MONGO_DATABASE"),
        ("MONGO_BIN", "MONGOD_BIN"),
        ("DATA_INBOUND", "DATA_INBOUND_DIR"),
        ("DATA_INBOUND_FOLDER", "DATA_INBOUND_DIR"),
        ("DATA_DEADLETTER_DIR", "DATA_DEAD_LETTER_DIR"),
        ("DATA_DEAD_LETTERS_DIR", "DATA_DEAD_LETTER_DIR"),
        ("CLIENT_FILE", "CLIENTS_FILE"),
        ("CLIENT", "CLIENTS"),
        ("CLIENT_TZ", "CLIENT_TIMEZONE"),
        ("SYNC_MAX_DELETE", "SYNC_MAX_DELETES"),
        ("MAX_DEAD", "MAX_DEAD_LETTERS"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("LOG_LEVLE", "LOG_LEVEL"),
        ("LOG-LEVEL", "LOG_LEVEL"),
        ("DURABILTY", "DURABILITY"),
    ],
)
def test_a_name_that_looks_like_a_setting_is_refused_wherever_it_is(tmp_path, name, setting):
    (told,) = problems(tmp_path, **{name: "secret"})
    assert told.startswith(f"{name}, in the environment: ")
    assert f"did you mean {setting}?" in told
    (tmp_path / ".env").write_text(f"{name}=secret\n")
    (told,) = problems(tmp_path)
    assert told.startswith(f"{name}, in {tmp_path / '.env'}: ")
    assert "secret" not in told
    load({name: ""}, tmp_path / "none")


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LANG", "LOGNAME", "MAIL", "TZ", "EDITOR", "NO_COLOR", "JOURNAL_STREAM", "STATE_DIRECTORY"),
        *("MONGO_INITDB_ROOT_USERNAME", "MONGO_INITDB_DATABASE", "MONGO_VERSION", "MONGO_MAJOR", "MONGO_PACKAGE"),
        *("MONGO_PORT", "MONGO_PORT_27017_TCP", "MONGO_SERVICE_HOST", "MONGO_HOST", "MONGO_USER", "MONGO_PASSWORD"),
        *("DATA_DIR", "DATA_DIRS", "XDG_DATA_DIRS", "DATABASE_URL", "DATA", "MONGO", "LOG_FILE", "LOG_DIR", "LOG"),
        *("CLIENT_ID", "CLIENT_SECRET", "CLIENTS_PORT_80_TCP", "SYNC", "MAX_JOBS", "INBOUND_PORT", "ACME_TOKEN", "_"),
        *("npm_config_loglevel", "SECRETS", "NOTES", "SAID", "Path", "LOG_LEVEL_ROOT"),
    ],
)
def test_another_programs_name_is_left_alone(tmp_path, name):
    load({name: "x"}, tmp_path / ".env")


@given(st.sampled_from(KNOWN), st.integers(0, 30), st.sampled_from("AXZ_"), st.sampled_from(["add", "drop", "other"]))
def test_whichever_letter_is_wrong(name, at, letter, how):
    """Law: one letter more, less or other is never taken for another program's."""
    at %= len(name)
    wrong = {"add": name[:at] + letter + name[at:], "drop": name[:at] + name[at + 1 :]}
    said = wrong.get(how, name[:at] + letter + name[at + 1 :])
    assert said in KNOWN or meant(said, KNOWN) in KNOWN
    assert meant(name, KNOWN) is None


def test_a_line_that_cannot_be_understood_and_a_name_without_a_value_are_told(tmp_path):
    path = tmp_path / ".env"
    path.write_text("# ours\nMONGO_DATABASE\nFOREIGN\nif then\nCLIENTS='open\n")
    assert problems(tmp_path) == (
        f"{path}:4: expected NAME=value",
        f"{path}:5: expected NAME=value",
        f"MONGO_DATABASE: {path} names it, but says nothing of it: expected MONGO_DATABASE=value",
    )


def test_a_file_is_read_with_the_mark_that_editors_put_before_it(tmp_path):
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfMONGO_COLLECTION=mine\r\nCLIENT_TIMEZONE=Asia/Tokyo\r\n")
    settings = load({}, tmp_path / ".env")
    assert (settings.mongo_collection, settings.client_timezone.key) == ("mine", "Asia/Tokyo")


@pytest.mark.parametrize(("body", "why"), [(b"MONGO_URI=caf\xe9", "it is no UTF-8"), (None, "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(tmp_path, body, why):
    path = tmp_path / ".env"
    path.mkdir() if body is None else path.write_bytes(body)
    assert problems(tmp_path) == (f"{path} cannot be read: {why}",)


def test_an_empty_one_hides_that_of_the_file_with_a_word(tmp_path):
    path = tmp_path / ".env"
    path.write_text("MONGO_URI=mongodb://h\nLOG_LEVEL=\nACME=1\n")
    settings = load({"MONGO_URI": "", "LOG_LEVEL": "", "ACME": ""}, path)
    assert (settings.mongo_uri, settings.secrets.notes) == (
        None,
        [f"MONGO_URI is empty in the environment, which hides the one in {path}: it is not set"],
    )
    assert load({}, path).secrets.notes == []


def test_blanks_are_no_value(tmp_path):
    assert problems(tmp_path, DATA_INBOUND_DIR=" ") == ("DATA_INBOUND_DIR: holds blanks alone",)


def test_what_only_one_client_has_is_not_said_beside_a_file_of_clients(tmp_path):
    told = problems(
        tmp_path,
        CLIENTS_FILE="clients.toml",
        DATA_INBOUND_DIR="in",
        INBOUND_AFTER="archive",
        CLIENT_LAYOUT="flag_order",
        CLIENT_TIMEZONE="UTC",
        DURABILITY="file",
        MONGO_COLLECTION="x",
    )
    assert [line.partition(":")[0] for line in told] == ["DATA_INBOUND_DIR", "INBOUND_AFTER", "CLIENT_LAYOUT"]


def test_what_is_said_is_known(tmp_path):
    settings = load({"DURABILITY": "file", "CLIENTS": ""}, tmp_path / ".env")
    assert settings.secrets.said == {"durability"}
    assert msgspec.structs.replace(settings, durability="batch", secrets=Settings().secrets) == Settings()
