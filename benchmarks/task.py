"""One piece of work, done in a process of its own, so that no measurement feels another's memory."""

import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

__all__ = ["Done", "Task", "carry_out"]


class Task(Struct, frozen=True, kw_only=True):
    """What is to be done, and where."""

    work: str
    """``module.function`` of this package."""
    uri: str
    root: str
    place: str
    source: str = ""
    """The inbound folder."""
    batch: int | None = None
    in_flight: int | None = None
    """The pipeline's own, unless something else is tried."""
    remembers: bool = False
    """Whether the index of known files is used."""
    workers: int | None = None
    """How many lanes the command is told to have; None: it is told nothing."""
    engine: str | None = None
    """The engine that the command is told to use."""


class Done(Struct, frozen=True, kw_only=True):
    """What became of it."""

    orders: int
    seconds: float
    cpu_seconds: float
    """Of the process, and of those that it started and that have ended; not of the server."""
    peak_mb: float
    """The most memory that the process had, its program included, or the largest of those that it started."""


def carry_out(task: Task, python: str = sys.executable) -> Done:
    """Do ``task`` in a process of its own, by ``python``."""
    command = [python, "-m", "benchmarks.work", msgspec.json.encode(task).decode()]
    made = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parent.parent)
    return msgspec.json.decode(made.stdout.splitlines()[-1], type=Done)
