"""Secrets come from variables, or from the files that the variables beside them name."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import WrongSettings
from pipeline.service.secrets import Secrets
from pipeline.service.session import Sessions
from pipeline.service.settings import load

TOKEN = "s3cr3t-t0k3n"


@pytest.fixture
def secret(tmp_path):
    """``secret(content)``: the path of a file that holds it."""

    def make(content):
        path = tmp_path / "secret"
        path.write_bytes(content)
        return str(path)

    return make


def wrong(call, *arguments):
    with pytest.raises(WrongSettings) as caught:
        call(*arguments)
    (told,) = caught.value.problems
    assert "\n" not in told
    assert TOKEN not in told
    return told


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"s3cr3t", "s3cr3t"),
        (b"s3cr3t\n", "s3cr3t"),
        (b"s3cr3t\r\n", "s3cr3t"),
        (b"s3cr3t\n\n", "s3cr3t\n"),
        (b" s3cr3t ", " s3cr3t "),
        (b"s3cr3t\r", "s3cr3t\r"),
        (b"\xef\xbb\xbfs3cr3t", "s3cr3t"),
        ("süß".encode(), "süß"),
    ],
)
def test_a_file_holds_the_value_but_for_one_end_of_line(secret, content, value):
    assert Secrets({"T_FILE": secret(content)}).get("T") == value
    assert Secrets({"T": "", "T_FILE": secret(content)}).get("T") == value


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip() and text[-1] != "\r")
)
def test_whatever_the_text_a_file_says_what_the_variable_would(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("secret") / "file"
    path.write_bytes(text.encode() + b"\n")
    assert Secrets({"T_FILE": str(path)}).get("T") == text.removeprefix("\ufeff")


def test_without_either_there_is_none_and_an_empty_name_of_a_file_is_none():
    assert Secrets({}).get("T") is None
    assert Secrets({"T": "value", "T_FILE": ""}).get("T") == "value"
    assert Secrets({"T_FILE": None}).get("T") is None


def test_both_are_wrong_settings_that_name_both(secret):
    told = wrong(Secrets({"T": TOKEN, "T_FILE": secret(TOKEN.encode())}).get, "T")
    assert told == "T and T_FILE are both set: set one of the two"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b" \r\n", "is empty"),
        (TOKEN.encode() + b"\xff", "is no UTF-8"),
        (TOKEN.encode("utf-16"), "is no UTF-8"),
        (TOKEN.encode() * 10_000, "has more than 64 KB"),
    ],
)
def test_a_file_without_a_text_is_told_with_its_path_and_never_with_its_content(secret, content, what):
    path = secret(content)
    told = wrong(Secrets({"T_FILE": path}).get, "T")
    assert told == f"T_FILE: {path} {what}: expected a file that holds the secret"


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path):
    assert "cannot be read (No such file" in wrong(Secrets({"T_FILE": str(tmp_path / "none")}).get, "T")
    assert f"{tmp_path} is no file" in wrong(Secrets({"T_FILE": str(tmp_path)}).get, "T")
    os.mkfifo(tmp_path / "pipe")
    assert "is no file" in wrong(Secrets({"T_FILE": str(tmp_path / "pipe")}).get, "T")
    assert wrong(Secrets({"T_FILE": "a\0b"}).get, "T").startswith("T_FILE: ")
    address = f"mongodb://user:{TOKEN}@host"
    assert wrong(Secrets({"T_FILE": address}).get, "T").startswith("T_FILE: what it names cannot be read")


class TestOfTheSettings:
    def test_the_uri_may_be_in_a_file_that_env_names(self, tmp_path, secret):
        (tmp_path / ".env").write_text(f"MONGO_URI_FILE={secret(b'mongodb://h/plant')}\n")
        settings = load({}, tmp_path / ".env")
        assert (settings.mongo_uri, settings.database) == ("mongodb://h/plant", "plant")

    def test_both_and_what_cannot_be_read_are_wrong_settings_beside_all_others(self, tmp_path, secret):
        def problems(**environ):
            with pytest.raises(WrongSettings) as caught:
                load(environ | {"LOG_LEVEL": "loud"}, tmp_path / ".env")
            return [told.partition(":")[0] for told in caught.value.problems]

        assert problems(MONGO_URI="mongodb://h", MONGO_URI_FILE="x") == [
            "MONGO_URI and MONGO_URI_FILE are both set",
            "LOG_LEVEL",
        ]
        assert problems(MONGO_URI_FILE=secret(b"")) == ["MONGO_URI_FILE", "LOG_LEVEL"]

    def test_a_name_that_looks_like_it_is_told(self, tmp_path):
        assert "did you mean MONGO_URI_FILE?" in wrong(load, {"MONGO_URL_FILE": "x"}, tmp_path / ".env")


class TestOfAClient:
    @pytest.fixture
    def sessions(self, tmp_path):
        """``sessions(**environ)`` with a client whose token is ACME_TOKEN."""
        (tmp_path / "clients.toml").write_text(
            '[clients.acme]\nkind = "rest_json"\nurl = "http://127.0.0.1:1/orders"\n'
            'auth = { type = "bearer", token_env = "ACME_TOKEN" }\n'
        )
        said = {"CLIENTS_FILE": str(tmp_path / "clients.toml"), "DATA_STATE_DIR": str(tmp_path / "state")}
        return lambda **environ: Sessions(load(said | environ, tmp_path / ".env"))

    def test_its_secret_may_be_in_a_file(self, sessions, secret):
        path = secret(TOKEN.encode() + b"\n")
        assert [one.client.name for one in sessions(ACME_TOKEN_FILE=path)] == ["acme"]
        (one,) = sessions(ACME_TOKEN_FILE=path)
        assert one.settings.secrets.get("ACME_TOKEN") == TOKEN

    def test_one_without_a_text_leaves_the_client_out(self, sessions, secret):
        path = secret(b"")
        told = wrong(lambda: sessions(ACME_TOKEN_FILE=path))
        assert f": acme: ACME_TOKEN_FILE: {path} is empty" in told
        assert ": acme: ACME_TOKEN and ACME_TOKEN_FILE are both set" in wrong(
            lambda: sessions(ACME_TOKEN=TOKEN, ACME_TOKEN_FILE=path)
        )
        assert "(or ACME_TOKEN_FILE, the name of a file that does)" in wrong(sessions)
