"""The search for places finds every kind of change that a source can make, and tells which were not reached."""

import pytest

from tests.crash.places import places, unreached
from tests.crash.points import Point

CHANGES = {
    "a write": "import os\nos.write(1, b'')",
    "a file made": "import os\nos.open('x', os.O_WRONLY | os.O_CREAT)",
    "a file opened for writing": "open('x', 'ab')",
    "a path opened for writing": "path.open(mode='w')",
    "a text written": "path.write_text('x')",
    "a path replaced": "path.replace(other)",
    "a folder removed": "import shutil\nshutil.rmtree('x')",
    "a program started": "import subprocess\nsubprocess.run(['x'])",
    "a commit": "import sqlite3\ndatabase = sqlite3.connect(path)\nwith database:\n    pass",
    "a C library": "import ctypes\nSYNC = ctypes.CDLL(None).sync\nSYNC()",
}
NONE = {
    "a read": "open('x', 'rb')\npath.open()\nimport os\nos.open('x', os.O_RDONLY)",
    "a text": "'a'.replace('a', 'b')\nmoment.replace(tzinfo=None)\nstructs.replace(one)",
    "a private database": "import sqlite3\ndatabase = sqlite3.connect('')\nwith database:\n    database.commit()",
}
COMMANDS = {
    "collection.insert_one({})": 1,
    "collection.find({})": 0,
    "database.command('ping')": 0,
    "database.command({'listIndexes': 'x'})": 0,
    "database.command(command)": 1,
    "known = {'listIndexes': 'x'}\ndatabase.command({**known, 'more': 1})": 0,
}


def found(folder, source, name="module.py"):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    return places(folder)


@pytest.mark.parametrize("source", CHANGES.values(), ids=CHANGES)
def test_each_kind_of_change_is_a_place(tmp_path, source):
    assert len(found(tmp_path, source)) == 1


@pytest.mark.parametrize("source", NONE.values(), ids=NONE)
def test_what_changes_nothing_is_none(tmp_path, source):
    assert found(tmp_path, source) == []


@pytest.mark.parametrize(("source", "count"), COMMANDS.items())
def test_a_command_of_mongodb_is_one_unless_it_is_known_to_read(tmp_path, source, count):
    assert len(found(tmp_path, source, "tracos/module.py")) == count


def test_whoever_calls_a_function_that_makes_a_change_is_a_place_too(tmp_path):
    assert [one.line for one in found(tmp_path, "import os\ndef gone(x):\n    os.unlink(x)\n\ngone(1)\n")] == [3, 5]


def test_a_place_through_which_no_point_was_reached_is_told(tmp_path):
    found(tmp_path, "import os\ndef gone(x):\n    os.unlink(x)\n\ngone(1)\n")
    left = unreached([Point("unlink", "x", (("module.py", 3),))], tmp_path)
    assert list(map(str, left)) == ["pipeline/module.py:5 gone(...)"]
    assert unreached([Point("unlink", "x", (("module.py", 3), ("module.py", 5)))], tmp_path) == []
