"""The clock jumps in the middle of a command, ahead or back: in the end all is as if it had not."""

import os
import random
from datetime import timedelta

import pytest

from tests.faults.clocks import Clock
from tests.faults.play import Story
from tests.faults.world import SCENARIOS, World

pytestmark = pytest.mark.slow

SEED = 13
PLAYS = int(os.environ.get("CLOCK_PLAYS", "3"))
"""Of each command."""
JUMPS = [timedelta(hours=hours) for hours in (-25, -1, 1, 25)]
TIMELESS = {"edit", "list", "conflicts", "explain", "history", "reset"}
"""The commands that look at no clock, or change nothing."""


@pytest.mark.parametrize("command", [name for name in SCENARIOS if name not in TIMELESS])
def test_a_clock_that_jumps_in(command, tmp_path, mongo_uri, database_name):
    world = World(tmp_path, mongo_uri, database_name, SCENARIOS[command])
    try:
        story = Story(world)
        with Clock() as clock:
            world.begin()
            world.ask()
        plays = [(jump, at) for jump in JUMPS for at in range(clock.looks)]
        assert plays
        for jump, at in random.Random(SEED).sample(plays, min(PLAYS, len(plays))):
            assert _wrong(story, jump, at) == [], f"{jump} at {at}"
    finally:
        world.close()


def _wrong(story, jump, at):
    world = story.world
    world.begin()
    with Clock(jump, at):
        code, _, err = world.ask()
    wrong = [err] if code not in world.scenario.wants or "Traceback" in err or "unexpected" in err else []
    wrong += story.broken()
    world.finish()
    wrong += story.differences()
    before = world.plant.state()
    world.plant.command("run")
    return wrong + (["an idle run writes"] if world.plant.state() != before else [])
