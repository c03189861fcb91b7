"""What is said to do next works where the person stands, as they started the program."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import started
from pipeline.cli.steps import steps
from tests.plant import ROOT

BAD = b"{"


@pytest.fixture(autouse=True)
def as_before():
    how = started._HOW.words, started._HOW.folder
    yield
    started._HOW.words, started._HOW.folder = how


@pytest.mark.parametrize(
    ("original", "arguments", "said"),
    [
        (["python", "src/main.py"], [], "python src/main.py"),
        ([".venv/bin/python", "src/main.py", "run", "--strict"], ["run", "--strict"], ".venv/bin/python src/main.py"),
        (["python3", "-m", "pipeline", "plan"], ["plan"], "python3 -m pipeline"),
        (["/a b/python", "-X", "dev", "-m", "pipeline"], [], "'/a b/python' -X dev -m pipeline"),
        (["/v/python", "/v/bin/workorder-sync", "plan"], ["plan"], "/v/bin/workorder-sync"),
        (["python", "-c", "from pipeline.cli import main"], [], f"{sys.executable} -m pipeline"),
        (["python"], [], f"{sys.executable} -m pipeline"),
    ],
)
def test_it_is_named_as_it_was_started(original, arguments, said):
    started.begun_by(original, arguments)
    assert started.command("dead-letters", "list") == f"{said} dead-letters list"


def test_installed_and_on_the_path_it_has_its_name_alone(tmp_path, monkeypatch):
    program = tmp_path / "workorder-sync"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    started.begun_by([sys.executable, str(program), "plan"], ["plan"])
    assert started.command("plan") == "workorder-sync plan"
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    started.begun_by([sys.executable, str(program), "plan"], ["plan"])
    assert started.command("plan") == "./workorder-sync plan"


def test_from_another_folder_it_leads_there(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.py").touch()
    monkeypatch.chdir(tmp_path)
    started.begun_by(["python", "src/main.py"], [])
    started.moved(Path("a demo"))
    assert started.command("plan") == f"cd 'a demo' && python {tmp_path}/src/main.py plan"


def test_a_command_between_backticks_is_said_in_full_and_nothing_else_is():
    started.begun_by(["python", "src/main.py"], [])
    assert started.in_full("`conflicts list` shows them") == "`python src/main.py conflicts list` shows them"
    assert started.in_full("`run --since` reads") == "`python src/main.py run --since` reads"
    for text in ("the client's `authority`", "`sync` of others", "`docker compose up -d`", "`running`"):
        assert started.in_full(text) == text


def test_an_extra_is_said_with_the_command_that_installs_it():
    assert started.in_full("install the extra `web`, or not") == f"install the extra: {started.install('web')}, or not"


def test_a_command_is_never_broken():
    started.begun_by(["python", "src/main.py"], [])
    told = [("to see and mend them", "dead-letters list")]
    assert steps(told, 80) == ["  to see and mend them: python src/main.py dead-letters list"]
    assert steps(told, 40) == ["  to see and mend them:", "    python src/main.py dead-letters list"]


def test_a_report_on_a_terminal_ends_with_what_can_be_done_and_for_a_program_with_its_rows(plant):
    plant.run("setup.py")
    assert plant.shown(100, "plan", exits=4).splitlines()[-1] == f"  do it: {started.command('run')}"
    assert "do it" not in "".join(plant.ask("plan")[1:])
    plant.command("run")
    last = plant.shown(200, "conflicts", "list").splitlines()[-1]
    assert last == f"  set one again: {started.command('conflicts', 'restore', 'NUMBER', 'FIELD')}"
    ids = {row.split("\t")[4]: row.split("\t")[0] for row in plant.command("dead-letters", "list").splitlines()}
    for name, can_be in (("bad-schema.json", True), ("bad-unreadable.json", False)):
        said = plant.shown(200, "dead-letters", "show", ids[name])
        assert (f"mend it: {started.command('dead-letters', 'edit', ids[name])}" in said) is can_be
        assert f"run it again: {started.command('dead-letters', 'retry', ids[name])}" in said
    assert "run it again" not in plant.command("dead-letters", "show", ids["bad-schema.json"])


def said_steps(text):
    return [line.partition("see and mend them: ")[2] for line in text.splitlines() if "see and mend them: " in line]


@pytest.mark.parametrize("way", [["src/main.py"], pytest.param(["-m", "pipeline"], marks=pytest.mark.slow)])
def test_what_a_run_says_to_do_next_can_be_done(plant, way):
    plant.put("bad.json", BAD)
    script = str(ROOT / way[0]) if len(way) == 1 else None
    command = [os.path.relpath(sys.executable, plant.home), *([script] if script else way)]
    done = subprocess.run(command, cwd=plant.home, env=plant.environ, capture_output=True, text=True, check=True)
    (step,) = said_steps(done.stdout)
    assert step == shlex.join([*command, "dead-letters", "list"])
    again = subprocess.run(
        step, shell=True, cwd=plant.home, env=plant.environ, capture_output=True, text=True, check=True
    )
    assert "bad.json" in again.stdout
