"""Which texts can be an order's id: what a person can see and type again, and no spreadsheet or program has damaged.

Two ids that look alike are two orders, and an id that many rows share because a look-up failed makes one order of them.
"""

import re
from typing import Final

__all__ = ["fault_of", "show"]

SHOWN: Final = 60
"""Characters of an id that are shown where it is refused."""

_UNSEEN: Final = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\ufe00-\ufe0f\uffa0]")
"""What counts as printable and cannot be seen: fillers, joiners, selectors of a variant."""

_ROUNDED: Final = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?E[+-][0-9]{2,3}")
"""A whole number of many digits as a spreadsheet shows it: the digits are gone."""

_ERROR: Final = re.compile(r"#(?:[¡¿]?[A-ZÄÖÜÉ][A-ZÄÖÜÉÁÍÓÚÑÇ0-9_/]*[!?]|N/A|NV|N/D|GETTING_DATA|#+)|Err:[0-9]{3}")
"""What a spreadsheet shows where a formula or a look-up has failed, or where a column is too narrow."""

_NONE: Final = frozenset({"null", "(null)", "<null>", "none", "nil", "nan", "n/a", "<na>", "undefined"})
"""What programs write where there is no value, in lower case."""


def fault_of(text: str) -> str | None:
    """Why ``text`` is no id, in words that show it; None where it can be one."""
    if not text.isprintable() or text[:1] == " " or text[-1:] == " " or _UNSEEN.search(text):
        return f"not an id: it has invisible characters, or blanks around it: {show(text)}"
    if _ROUNDED.fullmatch(text):
        return f"not an id: a spreadsheet has rounded it to {text}: format the column as text, and export it again"
    if _ERROR.fullmatch(text):
        return f"not an id: {show(text)} is what a spreadsheet shows for an error: see its formula"
    if text.lower() in _NONE:
        return f"not an id: {show(text)} stands for no value"
    return None


def show(text: str) -> str:
    """``text`` quoted, with escapes for all that cannot be seen, and cut where it is long."""
    return ascii(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
