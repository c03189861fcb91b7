"""What an entry of the decision log means, in words."""

from collections.abc import Mapping
from typing import Final

from pipeline.history.decisions import ABSENT, ERASED, RESTORED, SENT

__all__ = ["MEANING", "meaning"]

MEANING: Final[Mapping[str, str]] = {
    "insert": "new in TracOS",
    "no_base": "nothing was known of what the client held: the newer side won whole",
    "three_way": "merged field by field with what the client had shown before",
    "stale": "older than what was taken already: undid nothing",
    "repeat": "known already: its new place was noted",
    ABSENT: "the client has the order no more",
    SENT: "handed to the client",
    ERASED: "all that was kept of it was removed",
    RESTORED: "a value that had given way was set again by hand",
}


def meaning(rule: str) -> str:
    """What the rule of an entry says happened; the rule itself, where it is a later version's."""
    return MEANING.get(rule, rule)
