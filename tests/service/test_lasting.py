"""A minute of two services under edits, kills and hang-ups; ``python -m tests.service.lasting`` plays longer ones."""

import tempfile
from pathlib import Path

import pytest

from tests.service.lasting import at, lasting

LATE_SECONDS = 3
"""Within which an edit is on the other side, where a wake-up tells of it."""


@pytest.mark.slow
def test_a_minute_of_edits_and_kills_leaves_both_sides_equal_and_nobody_waits_long():
    with tempfile.TemporaryDirectory(prefix="l-") as folder:
        played = lasting(Path(folder), 60)
    assert played.faults == []
    assert played.kills >= 3
    assert played.hang_ups >= 3
    assert {kind for kind, _ in played.took} == {kind for kind, is_alone in played.took if not is_alone}
    for took in (took for (_, is_alone), took in played.took.items() if not is_alone):
        assert at(sorted(took), 0.95) < LATE_SECONDS
