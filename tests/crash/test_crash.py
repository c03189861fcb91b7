"""The matrix as the suite plays it: a handful of kills, and as a slow test a sample of every flow."""

import os
import tempfile
from itertools import chain
from pathlib import Path

import pytest

from tests.crash.flows import FLOWS, SAMPLED
from tests.crash.matrix import play
from tests.crash.places import unreached
from tests.crash.worlds import IN_MEMORY

SEED = int(os.environ.get("CRASH_SEED", "0"))
BY_NAME = {flow.name: flow for flow in FLOWS}


@pytest.fixture
def folder():
    """One whose path is as short as that of a socket must be."""
    with tempfile.TemporaryDirectory(prefix="crash-", dir=IN_MEMORY) as folder:
        yield Path(folder)


def test_killed_at_a_handful_of_points_a_first_run_ends_as_if_nobody_had_killed_it(folder, mongo_uri, database_name):
    played = play(BY_NAME["first"], "folder", folder, mongo_uri, database_name, sample=3, seed=SEED)
    assert [str(fault) for fault in played.faults] == []
    assert (len(played.killed), played.unseen) == (3, set())


@pytest.mark.slow
def test_killed_at_a_sample_of_the_points_of_every_flow_and_every_place_is_reached(folder, mongo_uri, database_name):
    """``python -m tests.crash`` kills at all of them."""
    played = []
    for flow, world in SAMPLED:
        home = folder / f"{flow}-{world}"
        home.mkdir()
        played.append(play(BY_NAME[flow], world, home, mongo_uri, database_name, sample=4, seed=SEED))
    assert [str(fault) for one in played for fault in one.faults] == []
    assert [one.unseen for one in played if one.unseen] == []
    assert list(map(str, unreached(chain.from_iterable(one.recorded for one in played)))) == []
    assert BY_NAME.keys() == {flow for flow, _ in SAMPLED}
