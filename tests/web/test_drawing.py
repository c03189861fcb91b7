"""Charts and differences: pure, and right for whatever there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.web.charts import ABOVE, Column, chart, top_of
from pipeline.web.differing import differing

TEXTS = st.text(alphabet="ab {}\n", max_size=60)


@given(st.lists(st.integers(0, 10**12), max_size=12))
def test_bars_stand_on_the_floor_within_the_scale_and_none_that_is_there_is_invisible(values):
    drawn = chart("x", [Column("", value, "") for value in values])
    assert drawn.total == sum(values)
    tops = [tick.y for tick in drawn.ticks]
    assert tops == sorted(tops, reverse=True)
    for value, bar in zip(values, drawn.bars, strict=True):
        assert (bar.height > 0) is (value > 0)
        assert bar.y >= ABOVE - 0.2
        assert abs(bar.y + bar.height - drawn.floor) <= 0.2
        assert drawn.left <= bar.x
        assert bar.x + bar.width <= drawn.width


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (3, 4), (7, 8), (9, 10), (41, 60), (1001, 2000)])
def test_a_scale_ends_with_a_round_number(most, top):
    assert top_of(most) == top


@given(TEXTS, TEXTS)
def test_what_differs_gives_both_texts_back(before, after):
    lines = differing(before, after)
    if before == after:
        assert lines == []
        return
    assert lines
    old, new = before.splitlines(), after.splitlines()
    for line in lines:
        said = "".join(piece.text for piece in line.pieces)
        if line.kind in ("same", "gone"):
            assert said == old[line.number - 1]
        elif line.kind == "new" and line.number is not None:
            assert said == new[line.number - 1]
    changed = {line.number for line in lines if line.kind == "gone"}
    kept = [text for number, text in enumerate(old, 1) if number not in changed]
    come = {line.number for line in lines if line.kind == "new"}
    assert kept == [text for number, text in enumerate(new, 1) if number not in come]


def test_of_a_line_that_became_another_the_words_are_marked():
    gone, new = differing('{"status": "LOST"}', '{"status": "NEW"}')
    assert [piece.text for piece in gone.pieces if piece.is_marked] == ["LOST"]
    assert [piece.text for piece in new.pieces if piece.is_marked] == ["NEW"]


def test_far_lines_are_left_out_and_too_large_a_text_is_not_compared():
    before = "\n".join(map(str, range(100)))
    kinds = [line.kind for line in differing(before, before.replace("50", "fifty"))]
    assert kinds == ["cut", "same", "same", "gone", "new", "same", "same", "cut"]
    assert differing("x" * 150_000, "y" * 150_000) is None
