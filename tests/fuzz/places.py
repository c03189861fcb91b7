"""Folders for what is read from files: one of its own for each process, gone with the tests."""

import os
import tempfile
from functools import cache
from pathlib import Path

_ALL = tempfile.TemporaryDirectory(prefix="fuzz-")


def place(name: str = "") -> Path:
    """A folder of this process."""
    return _made(os.getpid(), name)


@cache
def _made(process: int, name: str) -> Path:
    folder = Path(_ALL.name) / str(process) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
