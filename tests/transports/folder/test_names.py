"""File names of orders: safe, injective, reversible up to 200 bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.transports.folder import id_of, name_of

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300)


@given(ids)
def test_a_name_is_a_plain_file_name_in_the_folder(order_id):
    name = name_of(order_id)
    assert name.endswith(".json")
    assert len(name) <= 205
    assert name.isascii()
    assert name.isprintable()
    assert "/" not in name
    assert not name.startswith(".")


@given(ids)
def test_a_short_one_is_reversible(order_id):
    back = id_of(name_of(order_id))
    assert back == order_id or (back is None and len(order_id.encode()) > 60)


@given(ids, ids)
def test_two_ids_never_have_one_name(one, other):
    assert (name_of(one) == name_of(other)) is (one == other)


@pytest.mark.parametrize(
    ("order_id", "name"),
    [
        ("10", "10.json"),
        ("WO-10_a.b", "WO-10_a.b.json"),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.json"),
        (".", "%2E.json"),
        ("a~b", "a%7Eb.json"),
        ("Ü 1", "%C3%9C%201.json"),
        ("a\0b", "a%00b.json"),
    ],
)
def test_examples(order_id, name):
    assert name_of(order_id) == name
    assert id_of(name) == order_id


def test_long_ids_that_begin_alike_differ():
    assert name_of("x" * 300) != name_of("x" * 301)
    assert id_of(name_of("x" * 300)) is None
