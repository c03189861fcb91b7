"""What can be an order's id, and what a spreadsheet or a program has made of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.translation.ids import fault_of

GOOD = [
    *(
        "1",
        "0",
        "-5",
        "012",
        "A-1",
        "WO 7/2026",
        "PO:12",
        "10#2",
        "#12",
        "#A",
        "é",
        "漢字",
        "😀",
        "1.001",
        "1E5",
        "12e3",
    ),
    *("a.b", "N.A.", "nullable", "none of us", "NAN-1", "../x", "x" * 300, "40-00012E", "00:1A:2B", "3E+5x"),
]
UNSEEN = [
    *(" ", "1001 ", " 1001", "\t1001", "1001\n", "10\r01", "\xa01001", "1001\u202f", "\ufeff1001", "\u200b1001"),
    *("10\u200d01", "10\xad01", "\u202e1001", "\0", "\x7f", "\x85", "\u2028", "\u3164", "\u2800", "10\ufe0f01"),
]
DAMAGED = ["4.00012E+11", "4,00012E+11", "1E+05", "-1.5E+20", "1E-05"]
ERRORS = [
    *(
        "#N/A",
        "#REF!",
        "#VALUE!",
        "#NAME?",
        "#DIV/0!",
        "#NUM!",
        "#NULL!",
        "#SPILL!",
        "#NV",
        "#WERT!",
        "#BEZUG!",
        "#ZAHL!",
    ),
    *("#¡REF!", "####", "##########", "Err:502"),
]
NONE = ["NULL", "null", "None", "NaN", "nil", "N/A", "(null)", "undefined", "<NA>"]


@pytest.mark.parametrize("text", GOOD)
def test_what_can_be_seen_can_be_an_id(text):
    assert fault_of(text) is None


@pytest.mark.parametrize(
    ("texts", "why"),
    [(UNSEEN, "invisible characters"), (DAMAGED, "rounded"), (ERRORS, "shows for an error"), (NONE, "no value")],
)
def test_what_is_none_is_shown_with_its_fault(texts, why):
    for text in texts:
        fault = fault_of(text)
        assert fault is not None, text
        assert why in fault, text
        assert text in fault or ascii(text) in fault
        assert fault.isprintable()
        assert fault.isascii()


@given(st.text())
def test_a_fault_is_one_short_line(text):
    fault = fault_of(text)
    assert fault is None or (fault.isprintable() and len(fault) < 900)
