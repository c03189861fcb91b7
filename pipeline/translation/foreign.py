"""Bytes that are no text as we read it: recognised by how they begin, so that a person is told what they are."""

import codecs
from typing import Final

__all__ = ["foreign"]

_BEGINNINGS: Final = (
    (codecs.BOM_UTF32_LE, "this is UTF-32: save it as UTF-8"),
    (codecs.BOM_UTF32_BE, "this is UTF-32: save it as UTF-8"),
    (codecs.BOM_UTF16_LE, "this is UTF-16: save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "this is UTF-16: save it as UTF-8"),
    (b"\x1f\x8b", "this is gzip data: give its name the ending .gz"),
    (b"PK\x03\x04", "this is a workbook or another zip archive: export it as text"),
    (b"\xd0\xcf\x11\xe0", "this is a workbook of an old Excel: export it as text"),
)

_FIRST: Final = frozenset(beginning[0] for beginning, _ in _BEGINNINGS)

_WINDOW: Final = 64
"""Bytes at the beginning in which zeros are looked for; a multiple of four."""


def foreign(head: bytes) -> str | None:
    """What bytes that begin with ``head`` are, and what to do; None where nothing speaks against text."""
    if head and head[0] in _FIRST:
        for beginning, what in _BEGINNINGS:
            if head.startswith(beginning):
                return what
    zeros = head.count(0, 0, _WINDOW)
    if not zeros:
        return None
    window = head[:_WINDOW]
    if zeros == len(window):
        return "it begins with NUL bytes: whatever wrote it broke off; have it written again"
    # ASCII in wide characters, without a mark: one byte of two or four is a character, the others are zero
    if not any(window[1::4] + window[2::4]):
        return "this is UTF-32: save it as UTF-8"
    odd, pairs = window[1::2].count(0), len(window) // 2
    if max(odd, zeros - odd) * 4 >= pairs * 3 and min(odd, zeros - odd) * 4 <= pairs:
        return "this is UTF-16: save it as UTF-8"
    return None
