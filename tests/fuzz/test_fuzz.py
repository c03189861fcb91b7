"""Every seed, and every input that has broken a law once; and a short run that is always the same."""

import pytest
from loguru import logger

from tests.fuzz import blind, running
from tests.fuzz.mutate import mutated
from tests.fuzz.registry import FOUND, targets

TARGETS = targets()
EXECUTIONS = 40_000
"""Of the short run, over all targets."""


@pytest.fixture(autouse=True)
def tidy():
    yield
    logger.remove()  # some targets log
    running.close()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_was_found_keep_the_law(name):
    target = TARGETS[name]
    assert target.says
    for data in target.corpus:
        target.run(data)


def test_what_was_found_belongs_to_a_target():
    assert {path.name for path in FOUND.iterdir()} <= TARGETS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_mutations_keep_the_law(name):
    share = TARGETS[name].share / sum(one.share for one in TARGETS.values())
    played = blind.play(name, TARGETS[name].corpus, int(EXECUTIONS * share), 60, seed=13)
    assert not played.why, played.told


def test_the_same_seed_mutates_the_same():
    from random import Random

    one, other = (mutated([b"abc" * 9, b"{}"], Random(7)) for _ in range(2))
    assert one == other
