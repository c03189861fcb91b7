"""Clients are found by name, without a line of the house being changed."""

import sys
import textwrap

import pytest

from pipeline.clients.erp_json import connect
from pipeline.clients.registry import find_client, kinds
from pipeline.errors import WrongSettings


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of somebody else's, installed with an entry point."""
    (tmp_path / "their_erp.py").write_text("def connect(settings):\n    return settings.name\n")
    (tmp_path / "their_broken.py").write_text("import no_such_module\n")
    meta = tmp_path / "their_erp-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: their_erp\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(
        textwrap.dedent("""\
            [pipeline.clients]
            their_erp = their_erp:connect
            their_broken = their_broken:connect
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("their_erp", "their_broken"):
        sys.modules.pop(name, None)


def test_a_client_of_ours():
    assert find_client("erp_json") is connect


def test_a_client_of_an_installed_package_and_only_it_is_imported(package):
    assert find_client("their_erp").__module__ == "their_erp"
    assert "their_broken" not in sys.modules


def test_a_client_by_module_and_name(package):
    assert find_client("their_erp:connect").__module__ == "their_erp"


@pytest.mark.parametrize("name", ["their_broken", "their_erp:nothing", "no.such:thing"])
def test_a_client_that_cannot_be_loaded_is_a_wrong_setting(package, name):
    with pytest.raises(WrongSettings, match=f"{name}.*cannot be loaded"):
        find_client(name)


def test_a_module_that_makes_no_client_is_no_kind():
    with pytest.raises(WrongSettings, match="'connector'; known: csv_folder"):
        find_client("connector")


def test_two_of_one_name_are_told_with_where_they_come_from(package, tmp_path):
    meta = tmp_path / "other-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text("[pipeline.clients]\nerp_json = their_erp:connect\n")
    with pytest.raises(WrongSettings, match=r"'erp_json': built in and other; .*package\.module:name"):
        find_client("erp_json")


def test_listing_imports_nothing(package):
    found = {kind.name: kind for kind in kinds()}
    assert found["their_broken"].origin == "their_erp"
    assert found["erp_json"].says.startswith("The default client")
    assert not {"their_erp", "their_broken"} & sys.modules.keys()


def test_an_unknown_client_is_told_with_those_that_there_are(package):
    with pytest.raises(WrongSettings, match=r"'sap'; known: csv_folder, .*, sap_pm, their_broken, their_erp"):
        find_client("sap")


def test_a_kind_that_lacks_an_extra_tells_which(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx", None)
    loaded = ("pipeline.transports.http", "pipeline.clients.http_connector", "pipeline.clients.rest")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(WrongSettings, match=r"'rest_json' cannot be loaded: .*install the extra `http`"):
        find_client("rest_json")
