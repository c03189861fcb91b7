"""What a file says that is only ever appended to."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pipeline.disk import read_lines
from pipeline.errors import Fatal

__all__ = ["read_told"]

T = TypeVar("T")


def read_told(path: Path, called: str, understand: Callable[[bytes], T]) -> Iterator[T]:
    """What ``read_lines`` gives.

    Raises Fatal where the file cannot be read: ``called`` is what a person calls it.
    """
    try:
        yield from read_lines(path, understand)
    except OSError as error:
        raise Fatal(f"{called} {path} cannot be read: {error.strerror}; set it right, then run again") from error
