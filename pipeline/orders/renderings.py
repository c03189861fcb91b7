"""Whether a text is only another's rendering: cut, trimmed, in another case, or escaped; pure."""

import html
import re
import unicodedata
from typing import Any, Final

__all__ = ["is_rendering"]

CUT: Final = ("title", "description")
"""The fields of which a beginning counts too: in others it may be another value, such as ``PUMP-1`` of ``PUMP-12``."""

ROUNDS: Final = 3
"""How often a text may have been escaped; ampersands any number of times: a system that escapes what it is told, and is
told what it shows, adds an ``amp;`` each time."""

_BEYOND: Final = re.compile(r"&#[0-9]{1000,};?")
"""A character of no number that there is, and of more digits than Python makes a number of."""
_AMPERSANDS: Final = re.compile(r"&(?:(?:amp|AMP|#0*38|#[xX]0*26);)+")
_HALF_ENTITY: Final = re.compile(r"&#?\w{0,8}$")
_CUT_MARK: Final = re.compile(r"\s*(?:\.{3}|…)$")
_BACKSLASH: Final = re.compile(r"\\([\\\"'/])|\\([nrt])")


def is_rendering(field: str, ours: Any, theirs: Any) -> bool:
    """Whether ``theirs`` says no more than that a system which was told ``ours`` of ``field`` keeps texts its own way.

    Both are texts and differ.
    """
    if not isinstance(ours, str) or not isinstance(theirs, str) or ours == theirs:
        return False
    meant = _plain(ours)
    shown = {_plain(theirs)}
    if field in CUT:
        shown |= {_plain(_HALF_ENTITY.sub("", theirs)), _plain(_CUT_MARK.sub("", theirs))}
        return any(text and meant.startswith(text) for text in shown)
    return meant in shown


def _plain(text: str) -> str:
    """What is left of a text once it is not escaped, has no blanks around and single ones inside, and no case."""
    for _ in range(ROUNDS):
        plain = html.unescape(_AMPERSANDS.sub("&", _BEYOND.sub("\ufffd", text)))
        text, before = _BACKSLASH.sub(lambda found: found[1] or " ", plain), text
        if text == before:
            break
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()
