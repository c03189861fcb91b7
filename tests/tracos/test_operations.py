"""Writes are encoded together as they are one by one, and cut into commands that hold them; no database is needed."""

import itertools

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tracos import operations
from pipeline.tracos.operations import COMMAND_BYTES, UNFIT, commands, encode_all

UNHOLDABLE = [{"n": 2**63}, {"n": {"deep": ["\ud800"]}}, {"n": Ellipsis}, {1: "no name"}, {"a\0b": 1}]

values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5)
documents = st.dictionaries(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5).filter("_id".__ne__),
    values | st.lists(values, max_size=3),
    max_size=5,
)


def alone(statement):
    try:
        return bson.encode(statement)
    except UNFIT:
        return None


@given(st.lists(documents | st.sampled_from(UNHOLDABLE), max_size=230))
def test_a_list_is_encoded_as_its_statements_are_one_by_one(statements):
    assert encode_all(statements) == [alone(statement) for statement in statements]


def test_more_than_one_group_and_names_of_three_digits():
    statements = [{"_id": number, "n": [number]} for number in range(1234)]
    assert [bson.decode(one) for one in encode_all(statements)] == statements


@pytest.mark.parametrize("bad", UNHOLDABLE, ids=str)
@pytest.mark.parametrize("count", [1, 2, 99, 100, 101])
def test_what_cannot_be_held_is_the_only_one_left_out(bad, count):
    statements = [{"n": number} for number in range(count)]
    for position in {0, count // 2, count - 1}:
        encoded = encode_all([*statements[:position], bad, *statements[position + 1 :]])
        assert [at for at, one in enumerate(encoded) if one is None] == [position]


def test_what_is_longer_than_a_command_is_held_by_none():
    assert encode_all([{"n": "x" * COMMAND_BYTES}, {"n": 1}]) == [None, bson.encode({"n": 1})]


def test_an_encoded_statement_is_what_the_driver_sends_as_it_is():
    (encoded,) = encode_all([{"_id": 1, "at": None}])
    assert bson.encode({"documents": [RawBSONDocument(encoded)]}) == bson.encode(
        {"documents": [{"_id": 1, "at": None}]}
    )


@given(st.lists(st.integers(1, 12), max_size=20))
def test_a_command_takes_as_much_as_it_holds(sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "COMMAND_BYTES", 12)
        parts = list(commands({position: b"x" * size for position, size in enumerate(sizes)}))
    assert [position for part in parts for position in part] == list(range(len(sizes)))
    assert all(sum(map(len, part.values())) <= 12 for part in parts)
    for before, part in itertools.pairwise(parts):
        assert sum(map(len, before.values())) + len(next(iter(part.values()))) > 12
