"""What many letters, or files that are there, would lose is asked first; where nobody can be asked, nothing is done."""

import asyncio

import pytest

from tests.cli.test_commands import fill
from tests.terminal import at_terminal


@pytest.fixture
def many(plant):
    asyncio.run(fill(plant, 101))
    return plant


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("typed", "passed"),
    [("y\n", 101), pytest.param("n\n", 0, marks=SLOW), ("\n", 0), pytest.param("\x04", 0, marks=SLOW)],
)
def test_more_than_a_hundred_letters_are_retried_by_who_says_yes(many, typed, passed):
    code, said = at_terminal(many, "dead-letters", "retry", "--all", typed=typed)
    assert (code, "retry 101 dead letters? [y/N]" in said) == (0, True)
    assert ("101 passed and closed" in said, "nothing was retried" in said) == (passed == 101, passed == 0)
    assert many.orders.count_documents({}) == passed


def test_where_nobody_can_be_asked_it_refuses_and_says_how(many):
    code, _, err = many.ask("dead-letters", "retry", "--all")
    assert (code, "these are 101 dead letters, and nobody is there to be asked" in err) == (2, True)
    assert "pipeline dead-letters retry --all --yes` asks nobody" in err
    assert many.orders.count_documents({}) == 0
    assert "101 passed and closed" in many.command("dead-letters", "retry", "--all", "--yes")


def test_a_hundred_are_not_many(plant):
    asyncio.run(fill(plant, 100))
    assert "100 passed and closed" in plant.command("dead-letters", "retry", "--all")
