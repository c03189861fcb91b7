"""A replica set fails over in the middle of runs; the quick one steps down once, the slow ones take each kind."""

import uuid

import pytest

from tests.failovers import check
from tests.failovers.faults import FAULTS
from tests.failovers.members import living
from tests.failovers.orders import fill
from tests.failovers.play import Tally, Watched, play
from tests.mongo import again, until
from tests.plant import Plant

ORDERS = 3000
ROUNDS = [
    ("kill", "step-down", "roll-back", "cut-off"),
    ("refuse", "apart", "lose-replies", "no-majority"),
    ("roll-back", "stop", "kill", "roll-back"),
]


@pytest.fixture(scope="module")
def members():
    """Three members that live as long as these tests."""
    with living() as members:
        yield members


def test_a_primary_that_steps_down_in_the_middle_of_a_run_costs_nothing(tmp_path, replica_set):
    plant = Plant(tmp_path, replica_set.uri, f"test-{uuid.uuid4().hex[:12]}")
    try:
        fill(plant, 500)
        run = Watched(plant)
        run.reach(1)
        with replica_set.direct(0) as client, replica_set.direct(1) as other:
            again(lambda: other.admin.command("replSetStepUp"))
            code, err = run.end()
            assert code == 0, err
            assert all("trying again" in line for line in check.check_log(err))
            check.check_both_sides(plant, 500, edited=False)
            again(lambda: client.admin.command("replSetStepUp"))
            until(lambda: client.admin.command("hello")["isWritablePrimary"])
    finally:
        plant.client.drop_database(plant.environ["MONGO_DATABASE"])
        plant.client.close()


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "kinds"), list(enumerate(ROUNDS)))
def test_nothing_is_lost_doubled_or_told_that_is_not_so(members, seed, kinds):
    tally = Tally()
    play(members, tally, orders=ORDERS, kinds=kinds, seed=seed)
    assert tally.struck.keys() == set(kinds)
    assert tally.elections > 0
    assert tally.rollbacks > 0 or "roll-back" not in kinds


def test_every_kind_is_tried():
    assert {kind for kinds in ROUNDS for kind in kinds} == FAULTS.keys() - {"none"}
