"""Letters of which nothing is to be left: open ones, closed ones, and what was written of their closing."""

from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from pipeline.deadletters.drawer import ARCHIVES, CLOSED, CLOSINGS, Drawer
from pipeline.deadletters.letter import Letter, name_of
from pipeline.disk import read_file
from pipeline.months import Months, rewrite
from pipeline.translation.json import encode

__all__ = ["erase_letters"]

_LETTERS = msgspec.json.Decoder(Letter)


def erase_letters(
    drawer: Drawer, is_meant: Callable[[Letter], bool], mention: Callable[[bytes], bool]
) -> tuple[int, int]:
    """Remove the open and the closed letters that are meant; how many there were of each. The drawer is open.

    A letter that is damaged goes where it has a ``mention``. That a place was closed by hand stays known, without why.
    May be killed at any instant and done again. Raises OSError.
    """

    def read(body: bytes) -> Letter | None:
        """The letter that is meant."""
        try:
            letter = _LETTERS.decode(body)
        except (ValueError, RecursionError):
            return None
        return letter if is_meant(letter) else None

    def is_one(body: bytes) -> bool:
        try:
            return is_meant(_LETTERS.decode(body))
        except (ValueError, RecursionError):
            return mention(body)

    folder = drawer.directory
    open_ = {name for name in drawer.open_names() if is_one(read_file(folder / name))}
    archives = [Months(folder / name) for name in sorted(set(ARCHIVES.values()))]
    bodies = (body for archive in archives for path in archive.files() for body in _lines(path))
    letters = (letter for body in bodies if (letter := read(body)) is not None)
    names = open_ | {name_of(letter.where, letter.raw) for letter in letters}
    rewrite(folder / CLOSED, lambda line: _without_why(line, names))
    closed = sum(archive.rewrite(lambda line: None if is_one(line) else line) for archive in archives)
    for name in open_:
        (folder / name).unlink(missing_ok=True)
    drawer.look()
    return len(open_), closed


def _lines(path: Path) -> list[bytes]:
    try:
        return read_file(path).splitlines(keepends=True)
    except FileNotFoundError:
        return []


def _without_why(line: bytes, names: set[str]) -> bytes:
    try:
        closing = CLOSINGS.decode(line)
    except (ValueError, RecursionError):
        return line
    if closing.name not in names or closing.because is None:
        return line
    return encode(replace(closing, because=None)) + b"\n"
