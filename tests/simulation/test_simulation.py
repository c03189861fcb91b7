"""Some histories, always the same ones, and two minutes of others; ``python -m tests.simulation`` plays more."""

import subprocess
import sys

import pytest

from tests.simulation.__main__ import told
from tests.simulation.clock import runner as new_runner
from tests.simulation.draw import draw
from tests.simulation.play import failure, play

SEEDS = range(70)


def test_histories_end_well():
    with new_runner() as runner:
        failed = ((seed, runner.run(failure(draw(seed)))) for seed in SEEDS)
        found = next(((seed, why) for seed, why in failed if why is not None), None)
    assert found is None, told(*found)


def test_the_same_seed_plays_the_same_history_to_the_same_end():
    with new_runner() as runner:
        for seed in range(6):
            first, second = (runner.run(play(draw(seed))).ended for _ in range(2))
            assert first == second


@pytest.mark.slow
def test_two_minutes_of_histories_end_well():
    asked = [sys.executable, "-m", "tests.simulation", "--histories", "3000", "--seed", "0", "--jobs", "2"]
    process = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout[-5000:] + process.stderr[-2000:]


def test_a_failing_seed_is_told_with_its_shortest_history_and_how_to_play_it_again(monkeypatch):
    monkeypatch.setattr("tests.simulation.check.at_the_end", _wrong)
    said = told(0, "nothing is right")
    assert "seed 0: nothing is right\nlayout status_order, list" in said
    assert "1." not in said  # no step was needed
    assert said.endswith("replay: python -m tests.simulation --histories 1 --seed 0")


def _wrong(world):
    from tests.simulation.words import Wrong

    raise Wrong("nothing is right")
