"""Each break can still be made: where the program has changed, its text is to be renewed."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.breaks import Break, read_breaks

ROOT = Path(__file__).parents[2]
BREAKS = read_breaks()
MOST_SURVIVORS = 3


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_it_can_be_made(one: Break):
    assert one.broken(one.path(ROOT).read_text())
    assert all((ROOT / "tests" / test.partition("::")[0]).exists() for test in one.tests)


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(BREAKS) >= 60
    assert Counter(one.name for one in BREAKS).most_common(1)[0][1] == 1


def test_few_survive_and_each_of_those_is_explained():
    assert sum(bool(one.survives) for one in BREAKS) <= MOST_SURVIVORS
