"""The matrix finds each deliberate break of the program."""

import tempfile
from pathlib import Path

import pytest

from tests.crash.breaks import BREAKS
from tests.crash.matrix import play_broken
from tests.crash.worlds import IN_MEMORY


@pytest.mark.slow
@pytest.mark.parametrize("name", BREAKS)
def test_it_is_found(name, mongo_uri, database_name):
    with tempfile.TemporaryDirectory(prefix="crash-", dir=IN_MEMORY) as folder:
        played = play_broken(name, Path(folder), mongo_uri, database_name)
    assert played.faults, f"killed {len(played.killed)} times, and nothing is wrong"
