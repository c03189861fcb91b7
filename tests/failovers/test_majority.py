"""Members that stay dead: with a majority left a run does its work, without one it ends soon, in one clear line."""

import tempfile
import time
import uuid
from pathlib import Path

import pytest

from tests.failovers.check import check_both_sides, check_idle, check_log
from tests.failovers.members import Members
from tests.failovers.orders import edit, fill
from tests.mongo import until
from tests.plant import Plant

pytestmark = pytest.mark.slow

ORDERS = 50
PATIENCE = 3
"""MONGO_RETRY_SECONDS."""
A_BIT = 10
"""Seconds on top of it: a write waits at least 5 s to be confirmed, and the machine has other things to do."""
NO_MAJORITY = "no majority of its members confirms writes: see that enough of them run and keep up"


@pytest.fixture
def start():
    """Starts members of these kinds."""
    with tempfile.TemporaryDirectory(prefix="m-") as folder:
        started = []

        def starting(*kinds):
            started.append(Members(Path(folder), kinds))
            return started[0].start()

        yield starting
        for members in started:
            members.stop()


@pytest.fixture
def make_plant(tmp_path):
    """Plants with as many orders on each side, in databases of their own."""
    made = []

    def make(members, options=""):
        name = f"test-{uuid.uuid4().hex[:12]}"
        plant = Plant(tmp_path / name, members.uri + options, name)
        plant.home.mkdir()
        made.append(plant)
        fill(plant, ORDERS)
        return plant

    yield make
    for plant in made:
        plant.client.close()


def ends_soon(plant, *, bit=A_BIT):
    """The last line of a run that cannot do its work."""
    began = time.monotonic()
    _, err = plant.run(exits=1, MONGO_RETRY_SECONDS=PATIENCE)
    assert time.monotonic() - began < PATIENCE + bit
    check_log(err)
    return err.splitlines()[-1]


def finishes(plant, *, edited=False):
    plant.run()
    check_both_sides(plant, ORDERS, edited=edited)
    check_idle(plant)


def test_one_of_three_dead_is_a_majority_still(start, make_plant):
    members = start("data", "data", "data")
    old, all_three = make_plant(members), make_plant(members, "&w=3")
    members.kill(1)
    finishes(make_plant(members))
    finishes(old)
    assert "not as many of its members confirm writes as w=3 in MONGO_URI asks for" in ends_soon(all_three)
    members.start_member(1)
    finishes(all_three)


def test_two_of_three_dead_is_no_primary(start, make_plant):
    members = start("data", "data", "data")
    plant, known = make_plant(members), make_plant(members)
    known.run()
    edit(known, ORDERS)
    members.kill(1, 2)
    until(lambda: not members.primaries())  # one that steps down meanwhile says that it does
    for one in (plant, known):
        assert "the replica set has no primary: see that a majority of its members runs" in ends_soon(one)
    members.start_member(1)
    finishes(plant)
    finishes(known, edited=True)


def test_a_dead_secondary_beside_an_arbiter_leaves_a_primary_that_nobody_confirms(start, make_plant):
    members = start("data", "data", "arbiter")
    plant, known = make_plant(members, "&socketTimeoutMS=8000"), make_plant(members)
    known.run()
    edit(known, ORDERS)
    members.kill(1)
    assert NO_MAJORITY in ends_soon(known)
    assert "no majority of its members has built the index number_1 in time" in ends_soon(plant)
    assert known.letters() == plant.letters() == {}
    members.start_member(1)
    members.wait_until_well()
    finishes(plant)
    finishes(known, edited=True)
