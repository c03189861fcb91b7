"""Faults that did harm once, and some of all others; ``python -m tests.faults`` plays every one."""

import random

import pytest

from tests.faults.disk import FAULTS
from tests.faults.play import Story
from tests.faults.world import SCENARIOS, World

SEED = 13
PLAYS = 8
"""Of each command."""

QUICK = [
    ("EIO once", "list", "data/inbound"),
    ("EIO once", "open", "data/inbound/status.json"),
    ("EMFILE once", "open", "data/inbound/another.json"),
    ("EMFILE once", "open", "data/dead-letter/erp_json.outbound/102~"),
]
"""What fails in a run, and how: each did harm once."""

FOUND = {
    "run": [
        ("EIO once", "open", ".env"),
        ("EIO once", "look", "data/inbound/1.json"),
        ("EIO once", "read", "data/inbound/broken.json"),
        ("ENOSPC", "write", "data/decisions.jsonl"),
    ],
    "archive": [("EIO though done", "link", "data/inbound/.~aside~"), ("EIO once", "unlink", "data/inbound/.~aside~")],
    "delete": [("EIO once", "read", "data/outbound")],
    "restore": [("EIO once", "open", "data/decisions.jsonl")],
    "history": [("EIO once", "open", "data/runs.jsonl")],
    "edit": [
        ("EIO once", "list", "data/dead-letter"),
        ("ENOSPC", "mkdir", "tmp/"),
        ("ENOSPC once", "create", "data/dead-letter/erp_json.inbound/."),
    ],
    "plan": [("EIO once", "read", "data/state"), ("ENOSPC", "mkdir", "tmp/")],
}


@pytest.fixture
def story(tmp_path, mongo_uri, database_name):
    """``story(command)``: what happens where the disk does not fail."""
    worlds = []

    def tell(command):
        worlds.append(World(tmp_path, mongo_uri, database_name, SCENARIOS[command]))
        return Story(worlds[-1])

    yield tell
    for world in worlds:
        world.close()


def play_found(story, found, **how):
    for fault, kind, path in found:
        ones = [one for one in story.operations if one.kind in FAULTS[fault].kinds]
        at = next(at for at, one in enumerate(ones) if one.kind == kind and one.path.startswith(path))
        hit, wrong = story.play(fault, at, **how)
        assert (hit.kind, hit.path.startswith(path)) == (kind, True)
        assert wrong == []


def test_what_did_harm_in_a_run_once(story):
    play_found(story("run"), QUICK, idle=False)


@pytest.mark.slow
@pytest.mark.parametrize("command", FOUND)
def test_what_did_harm_once_in(story, command):
    play_found(story(command), FOUND[command])


@pytest.mark.slow
@pytest.mark.parametrize("command", SCENARIOS)
def test_some_of_all_faults_in(story, command):
    told = story(command)
    plays = [(fault, at) for fault in FAULTS for at in range(told.count(fault))]
    for fault, at in random.Random(SEED).sample(plays, min(PLAYS, len(plays))):
        hit, wrong = told.play(fault, at)
        assert wrong == [], f"python -m tests.faults --only {command} --fault '{fault}' --at {at}: {hit}"


def test_these_checks_see_a_file_that_is_not_there_and_one_that_is_half(story, monkeypatch):
    """A sink that believes a disk which says that it took all."""
    from pipeline.transports.folder import sink

    told = story("outbound")
    write = sink.write_files

    def halves(folder, files, **how):
        return write(folder, {name: body[: len(body) // 2] for name, body in files.items()}, **how)

    monkeypatch.setattr(sink, "write_files", halves)
    _, wrong = told.play("EIO once", 0)
    assert any(one.startswith("sent") or "half a file" in one for one in wrong)
