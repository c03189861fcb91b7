"""What a file says that is only ever appended to, a month at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pipeline.disk import read_lines
from pipeline.errors import Fatal, See
from pipeline.months import Months

__all__ = ["read_told", "readable"]

T = TypeVar("T")


def read_told(path: Path, called: str, understand: Callable[[bytes], T], since: datetime | None = None) -> Iterator[T]:
    """What ``read_lines`` gives of all months of ``path``, oldest first; with ``since`` of those alone that are later.

    Raises Fatal where a file cannot be read: ``called`` is what a person calls it.
    """
    with readable(path, called):
        months = Months(path).files(since)
    for month in months:
        with readable(month, called):
            yield from read_lines(month, understand)


@contextmanager
def readable(path: Path, called: str) -> Iterator[None]:
    """Raises Fatal where ``path`` cannot be read inside of this; ``called`` is what a person calls it."""
    try:
        yield
    except OSError as error:
        raise Fatal(
            f"{called} {path} cannot be read: {error.strerror}; set it right, then run again", see=See.FILES
        ) from error
