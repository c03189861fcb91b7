"""What the project's own files say of each other, and of how it is installed, checked and found one's way in."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from docs.draw_house import PAGE, PICTURE, arrows, drawn

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "poetry.lock").read_text()
CONSTRAINTS = (ROOT / "constraints.txt").read_text()
PYTHON_FILES = sorted(
    path
    for room in ("pipeline", "src", "tests", "docs", "examples", "benchmarks", ".ci")
    for path in (ROOT / room).rglob("*.py")
)


def test_the_constraints_are_what_the_lock_says():
    made = runpy.run_path(str(ROOT / ".ci/constraints.py"))["constraints"](LOCK)
    assert made == CONSTRAINTS, "run: python .ci/constraints.py"


def test_constraints_keep_what_the_lock_says_of_systems_and_no_extras():
    package = '[[package]]\nname = "{}"\nversion = "1"\ngroups = ["main", "dev"]\nmarkers = {}\n'
    lock = "".join(
        package.format(name, markers)
        for name, markers in {
            "everywhere": "{main = \"extra == 'x'\"}",
            "in-one": "{main = \"extra == 'x' and os_name == 'nt'\", dev = \"os_name == 'nt'\"}",
            "in-two": "{main = \"os_name == 'nt'\", dev = \"os_name == 'posix'\"}",
            "in-both": "\"os_name == 'nt'\"",
        }.items()
    )
    made = runpy.run_path(str(ROOT / ".ci/constraints.py"))["constraints"](lock)
    assert made.splitlines()[1:] == [
        "everywhere==1",
        'in-both==1 ; os_name == "nt"',
        'in-one==1 ; os_name == "nt"',
        'in-two==1 ; os_name == "nt" or os_name == "posix"',
    ]


def test_what_is_installed_comes_from_the_index_that_whoever_installs_has():
    assert "://" not in CONSTRAINTS
    assert not [package for package in tomllib.loads(LOCK)["package"] if "source" in package]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_whoever_follows_the_set_up_installs_what_the_lock_says(name):
    commands = re.findall(r"\.venv/bin/pip install -[^&\n`]*", (ROOT / name).read_text())
    assert len(commands) >= 2
    for command in commands:
        assert " -c constraints.txt" in command


def test_pip_builds_with_what_the_lock_says():
    assert [one for one in PROJECT["build-system"]["requires"] if one not in CONSTRAINTS.splitlines()] == []


def test_every_requirement_has_a_lower_bound():
    assert len(list(runpy.run_path(str(ROOT / ".ci/versions"))["bounds"]())) > 20


def test_every_check_that_is_left_out_has_its_reason():
    bare = re.compile(r"# noqa(?!: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)* - \S)|# type: ignore(?!\[[\w, -]+\]  # \S)")
    found = [f"{path}: {line}" for path in PYTHON_FILES for line in path.read_text().splitlines() if bare.search(line)]
    assert [line for line in found if "re.compile" not in line] == []
    ignored = (ROOT / "pyproject.toml").read_text().partition("\nignore = [\n")[2].partition("\n]")[0]
    assert [line for line in ignored.splitlines() if "  # " not in line] == []


def test_the_picture_of_the_house_is_the_one_that_the_imports_draw():
    assert PICTURE.findall(PAGE.read_text()) == [drawn(arrows())], "run: python -m docs.draw_house"


def test_the_way_to_every_room_is_told():
    table = PAGE.read_text().partition("## To change X")[2]
    told = {name.split("/")[0].removesuffix(".py") for name in re.findall(r"`([\w/.]+)`", table)}
    assert arrows().keys() - told == {"errors", "finding", "version"}  # words alone
