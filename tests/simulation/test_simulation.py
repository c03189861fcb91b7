"""A few hundred histories, always the same ones; ``python -m tests.simulation`` plays as many as one likes."""

import asyncio

from tests.simulation.__main__ import told
from tests.simulation.play import failure, play
from tests.simulation.steps import draw

SEEDS = range(300)


def test_histories_end_well():
    with asyncio.Runner() as runner:
        failed = ((seed, runner.run(failure(draw(seed)))) for seed in SEEDS)
        found = next(((seed, why) for seed, why in failed if why is not None), None)
    assert found is None, told(*found)


def test_the_same_seed_plays_the_same_history_to_the_same_end():
    with asyncio.Runner() as runner:
        for seed in range(20):
            first, second = (runner.run(play(draw(seed))).end() for _ in range(2))
            assert first == second
