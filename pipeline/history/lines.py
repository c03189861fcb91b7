"""The lines of a file that is only ever appended to."""

import os
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import Fatal

__all__ = ["lines_of"]


def lines_of(path: Path, called: str) -> Iterator[bytes]:
    """The lines, first to last; none where there is no such file.

    Raises Fatal where it cannot be read: ``called`` is what a person calls it. A pipe is not waited for.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as lines:
            yield from lines
    except FileNotFoundError:
        return
    except OSError as error:
        raise Fatal(f"{called} {path} cannot be read: {error.strerror}; set it right, then run again") from error
