"""Ids and versions."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.orders.workorder import WorkOrder, id_key, later

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_decimal_text_and_its_integer_are_the_same_id(number):
    assert id_key(str(number)) == id_key(number) == number


@pytest.mark.parametrize("text", ["007", "+7", " 7", "7.0", "-0", "\u0667", "9223372036854775808", "WO-7", "7\n"])
def test_what_is_no_integer_s_own_text_stays_text(text):
    assert id_key(text) == text


@pytest.mark.parametrize(
    ("updated", "deleted", "deleted_at", "version"),
    [
        (EARLY, True, LATE, LATE),
        (LATE, True, EARLY, LATE),
        (EARLY, False, LATE, EARLY),
        (None, True, LATE, LATE),
        (None, False, None, None),
    ],
)
def test_the_effective_version_is_the_later_of_update_and_deletion(updated, deleted, deleted_at, version):
    order = WorkOrder(number=1, updated_at=updated, deleted=deleted, deleted_at=deleted_at)
    assert order.version == version


def test_an_absent_time_counts_as_oldest():
    assert (later(None, EARLY), later(EARLY, None), later(None, None)) == (EARLY, EARLY, None)
