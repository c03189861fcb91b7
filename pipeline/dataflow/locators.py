"""Where in a source an item came from: ``a.json``, ``a.json[3]`` (array element), ``a.ndjson:12`` (line, from 1)."""

import re
from typing import Final, NamedTuple

__all__ = ["Place", "place"]

_PART: Final = re.compile(r"(?s)(.+?)(?:\[([0-9]+)\]|:([0-9]+))")


class Place(NamedTuple):
    """A locator taken apart."""

    file: str
    element: int | None = None
    line: int | None = None


def place(locator: str) -> Place:
    """Take a locator apart; one without element or line is all ``file``."""
    part = _PART.fullmatch(locator)
    if part is None:
        return Place(locator)
    file, element, line = part.groups()
    return Place(file, int(element) if element else None, int(line) if line else None)
