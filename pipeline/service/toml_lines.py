"""Where a TOML file says something: tomllib tells no lines, and a mistake is told with its own."""

import re
from typing import Final

__all__ = ["line_of"]

_KEY: Final = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)"""
_DOTTED: Final = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEAD: Final = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_SAID: Final = re.compile(rf"\s*({_DOTTED})\s*=")
_ONE: Final = re.compile(_KEY)


def line_of(text: str, *path: str) -> int:
    """The line, from 1, where ``text`` says most of ``path``, which are keys from the outermost on; else 1.

    That is where the key is set, or the table that it is in begins.
    """
    best, found, head = 0, 1, tuple[str, ...]()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _HEAD.match(line):
            head = said = _keys(match[1])
        elif match := _SAID.match(line):
            said = (*head, *_keys(match[1]))
        else:
            continue
        shared = min(len(said), len(path))
        if best < shared and said[:shared] == path[:shared]:
            best, found = shared, number
    return found


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(key.strip("\"'") for key in _ONE.findall(dotted))
