"""What people write without waiting for a majority, and lose again, is told to nobody, and makes no outcome of ours."""

import uuid

import pytest

from tests.failovers.check import check_both_sides, check_idle, check_log
from tests.failovers.members import living
from tests.failovers.orders import doom, edit, fill
from tests.mongo import until
from tests.plant import Plant

pytestmark = pytest.mark.slow

ORDERS = 100


@pytest.fixture
def members():
    with living() as members:
        yield members


@pytest.fixture
def plant(tmp_path, members):
    plant = Plant(tmp_path, members.uri, f"test-{uuid.uuid4().hex[:12]}")
    yield plant
    plant.client.close()


def roll_back(members):
    """The first member loses what it alone has; to be called while the others do not follow it."""
    before = members.rollbacks(0)
    members.wires.silence(members.around(0, clients=True))
    yield
    members.outvote(0)
    members.wires.mend()
    until(lambda: members.rollbacks(0) > before)
    members.wait_until_well()
    yield


def test_an_edit_that_is_taken_back_was_told_to_nobody(members, plant):
    fill(plant, ORDERS)
    plant.run()
    orders = members.at_once(0, plant.environ["MONGO_DATABASE"])
    with members.behind(1, 2):
        doom(orders)
        assert orders.count_documents({"isSynced": {"$ne": True}}) > 0
        out, err = plant.run()
        assert ("nothing to do" in out, err) == (True, "")
        orders.database.client.close()
        lost = roll_back(members)
        next(lost)
    next(lost)
    check_both_sides(plant, ORDERS, edited=False)
    check_idle(plant)


def test_an_order_whose_edit_is_taken_back_waits_and_then_takes_the_clients(members, plant):
    """The guard meets the doomed edit, which no look-up shows: a run says that it waits, and makes no letter of it."""
    fill(plant, ORDERS)
    plant.run()
    edit(plant, ORDERS)
    orders = members.at_once(0, plant.environ["MONGO_DATABASE"])
    with members.behind(1, 2):
        doom(orders)
        _, err = plant.run(exits=1, MONGO_RETRY_SECONDS=3)
        check_log(err)
        assert "no majority of its members confirms writes" in err.splitlines()[-1]
        assert plant.letters() == {}
        orders.database.client.close()
        lost = roll_back(members)
        next(lost)
    next(lost)
    plant.run()
    check_both_sides(plant, ORDERS, edited=True)
    check_idle(plant)
