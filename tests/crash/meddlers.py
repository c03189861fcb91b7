"""Others who act outside at the worst moment: right before the program makes a change of its own."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.crash.points import Meddler, Point


def named(name: str) -> Meddler | None:
    """A new meddler of this name; none for an empty one."""
    return _Once(*MEDDLERS[name]) if name else None


class _Once:
    """Acts at the first point that is meant, and never again."""

    def __init__(self, is_meant: Callable[[Point], bool], act: Callable[[Point], None]) -> None:
        self._is_meant = is_meant
        self._act = act
        self._is_done = False

    def __call__(self, point: Point) -> None:
        if not self._is_done and self._is_meant(point):
            self._is_done = True
            self._act(point)


def _is_in(point: Point, file: str) -> bool:
    return any(frame.endswith(file) for frame, _ in point.stack)


def _full_disk(point: Point) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_again(point: Point) -> None:
    """The client writes a file again while it is put away: the same, but later."""
    path = next(path for path in Path("in").iterdir() if path.name == point.what)
    os.utime(path, (LATER, LATER))


LATER: Final = 1_710_000_000

MEDDLERS: Final[dict[str, tuple[Callable[[Point], bool], Callable[[Point], None]]]] = {
    "full disk": (lambda point: point.kind == "write" and _is_in(point, "folder/sink.py"), _full_disk),
    "no archive": (lambda point: point.kind == "link" and _is_in(point, "folder/settled.py"), _full_disk),
    "writer": (lambda point: point.kind == "rename" and _is_in(point, "folder/settled.py"), _write_again),
}
"""By name: at which point, and what is done there."""
