"""docs/adding-a-client.md is followed to the letter; a client of another package is built, installed, found and run."""

import ast
import json
import os
import re
import subprocess
import sys

import pytest

from tests.plant import ROOT

PAGE = (ROOT / "docs/adding-a-client.md").read_text()
IMPORTS = {
    "HttpConnector": "from pipeline.clients.http_connector import HttpConnector\n",
    "HttpStand": "from pipeline.testing import HttpStand\n",
}


def shell(folder, *command, exits=0):
    environ = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(command, check=False, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == exits, done.stdout + done.stderr
    return done.stdout


def replaced(text, block):
    """``text`` with the statement of the name that ``block`` defines, if it has one, replaced by it."""
    (new,) = ast.parse(block).body
    for old in ast.parse(text).body:
        if name_of(old) == name_of(new):
            lines = text.splitlines(keepends=True)
            lines[old.lineno - 1 : old.end_lineno] = [block]
            text = "".join(lines)
            for name, line in IMPORTS.items():
                if name in block and line not in text:
                    at = text.index("\nfrom ") + 1
                    text = text[:at] + line + text[at:]
            return text
    return None


def name_of(node):
    if isinstance(node, ast.Assign):
        return node.targets[0].id
    return node.target.id if isinstance(node, ast.AnnAssign) else getattr(node, "name", None)


@pytest.mark.slow
def test_the_page_works_as_it_stands(tmp_path):
    ran = 0
    for kind, block in re.findall(r"```(console|python)\n(.*?)```", PAGE, re.DOTALL):
        if kind == "console":
            for line in block.splitlines():
                command = line.removeprefix("$ ").split()
                out = shell(tmp_path, sys.executable, *command[1:])
                ran += " passed" in out
        else:
            changed = 0
            for path in (tmp_path / "acme_erp.py", tmp_path / "test_acme_erp.py"):
                text = replaced(path.read_text(), block)
                if text is not None:
                    path.write_text(text)
                    changed += 1
            assert changed == 1, block
            if "SAMPLES = [" in block:
                shell(tmp_path, sys.executable, "-m", "pytest", "-q", "--client", "test_acme_erp:client", exits=1)
    assert ran == 3


def test_the_table_of_the_page_works_as_it_stands(plant):
    """Both ways over folders, from nothing but the file."""
    (sample,) = re.findall(r"```json\n(.*?workOrder.*?)```", PAGE, re.DOTALL)
    (table,) = re.findall(r"```toml\n(.*?layouts.acme.*?)```", PAGE, re.DOTALL)
    (plant.home / "clients.toml").write_text(table)
    (plant.home / "acme/in").mkdir(parents=True)
    other = sample.replace("W-17", "W-18").replace('"A1"', '"B9"')
    for name, data in (("1.json", sample), ("2.json", other)):
        (plant.home / "acme/in" / name).write_text(data)
        os.utime(plant.home / "acme/in" / name, (1_760_000_000, 1_760_000_000))
    out, _ = plant.run(CLIENTS_FILE="clients.toml")
    assert "1 skipped" in out
    document = plant.orders.find_one({}, {"_id": 0, "sync": 0})
    assert plant.orders.count_documents({}) == 1
    assert (document["number"], document["title"], document["status"]) == ("W-17", "Pump leaks", "in_progress")
    assert (document["priority"], document["assetId"]) == ("high", "P-7")
    assert (document["estimatedHours"], document["requiresShutdown"]) == (2.5, True)
    assert document["createdAt"] == "2026-10-01T06:30:00.000Z"
    assert plant.command("plan", CLIENTS_FILE="clients.toml") == ""

    edit = {"status": "on_hold", "priority": "low", "isSynced": False, "updatedAt": "2026-10-03T08:00:00.000Z"}
    plant.orders.update_one({"number": "W-17"}, {"$set": edit})
    born = {"number": 77, "title": "Fan", "status": "created", "createdAt": "2026-10-03T08:00:00.000Z"}
    plant.orders.insert_one({**born, "updatedAt": born["createdAt"], "isSynced": False})
    plant.run(CLIENTS_FILE="clients.toml")
    told = {path.name: json.loads(path.read_text())["workOrder"] for path in (plant.home / "acme/out").iterdir()}
    assert told.keys() == {"W-17.json", "77.json"}
    assert (told["W-17.json"]["prio"], told["W-17.json"]["source"]) == (3, "TRACOS")
    assert "extRef" not in told["W-17.json"]
    assert (told["77.json"]["ref"], told["77.json"]["extRef"], told["77.json"]["state"]) == (77, 77, {"code": "OPN"})
    assert told["77.json"]["dates"]["opened"] == "03/10/2026 10:00"


def told_as(change):
    """A client that tells another value of every order than the one it has."""
    replace = "__import__('msgspec').structs.replace"
    changed = f"{replace}(record, order={replace}(record.order, {change}))"
    return f"(TABLE,)); self.from_record = lambda record: JsonConnector.from_record(self, {changed})"


@pytest.mark.parametrize(
    ("right", "wrong", "test"),
    [
        ("(TABLE,))", told_as("status=Status.CREATED"), "statuses_are_total_and_exclusive"),
        ("tell={}", 'tell={Status.ON_HOLD: "open"}', ""),
        (
            'at("text")',
            'at("text", __import__("pipeline.translation.codecs").translation.codecs.Anything())',
            "hostile",
        ),
        ("(TABLE,))", told_as('title="x"'), "samples_come_back"),
        ("Time(), required=True", 'Time("%c"), required=True', "a_repeat_changes_nothing"),
        ('at("changed", Time())', 'at("opened", Time())', "dates_keep_their_instants"),
        ('path=("state",)', 'path=("text",)', "a_repeat_changes_nothing"),
        ("(TABLE,))", '(TABLE,)); self.timezone = __import__("datetime").UTC', "times_are_read_and_told"),
        ("(TABLE,))", '(TABLE,)); self.name = "x"', "its_name"),
        (
            "return self._folders.source(self.settings, witness)",
            '(self._folders.inbound_dir / "mine").touch(); return self._folders.source(self.settings, witness)',
            "dry_run",
        ),
    ],
)
def test_a_client_that_is_wrong_does_not_pass(tmp_path, right, wrong, test):
    shell(tmp_path, sys.executable, "-m", "pipeline", "clients", "new", "acme_erp")
    path = tmp_path / "acme_erp.py"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong, 1))
    if not test:  # two of our words may become one of its words
        shell(tmp_path, sys.executable, "-m", "pytest", "-q", "--client", "test_acme_erp:client")
        return
    out = shell(tmp_path, sys.executable, "-m", "pytest", "-q", "--client", "test_acme_erp:client", exits=1)
    assert re.search(rf"FAILED .*{test}", out), out


def test_what_is_there_already_stays(tmp_path, plant):
    plant.command("clients", "new", "acme_erp")
    path, test = plant.home / "acme_erp.py", plant.home / "test_acme_erp.py"
    test.unlink()
    plant.command("clients", "new", "acme_erp")  # which was broken off before
    assert test.is_file()
    path.write_text("mine")
    plant.command("clients", "new", "acme_erp", exits=2)
    assert path.read_text() == "mine"
    for name in ("Acme", "a-b", "class", "../x", "é"):
        plant.command("clients", "new", name, exits=2)


def test_a_client_in_a_package_of_its_own(plant, tmp_path):
    """Built as a wheel, installed, found by its entry point, run; no line of ours is edited."""
    source, site = tmp_path / "their", tmp_path / "site"
    source.mkdir()
    plant.command("clients", "new", "their_erp", "--in", str(source))
    (source / "pyproject.toml").write_text(
        '[project]\nname = "their-erp"\nversion = "1.0"\n'
        '[project.entry-points."pipeline.clients"]\ntheirs = "their_erp:connect"\n'
        '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
        '[tool.poetry]\npackages = [{ include = "their_erp.py" }]\n'
    )
    build = "from poetry.core.masonry.api import build_wheel; print(build_wheel('.'))"
    wheel = shell(source, sys.executable, "-c", build).strip().splitlines()[-1]
    install = ["install", "-q", "--no-index", "--no-deps", "--target", str(site), str(source / wheel)]
    shell(tmp_path, sys.executable, "-m", "pip", "--disable-pip-version-check", *install)
    plant.environ["PYTHONPATH"] += f":{site}"
    out, _ = plant.run("pipeline/__main__.py", "clients", "list")
    assert "theirs\ttheir-erp\ttheir_erp:connect" in out
    plant.put("1.json", {"number": 7, "state": "open", "opened": "2026-10-01", "text": "Pump"})
    plant.run(CLIENTS="theirs")
    assert plant.documents()[7]["title"] == "Pump"
    plant.orders.update_one({"number": 7}, {"$set": {"status": "completed", "isSynced": False}})
    plant.run(CLIENTS="theirs")
    assert plant.sent()["7.json"]["state"] == "finished"
