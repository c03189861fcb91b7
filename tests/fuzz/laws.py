"""Laws that all targets share: what an error may say, so that it can be logged and kept."""

from collections.abc import Iterable
from typing import Final

import msgspec

from pipeline.errors import PipelineError, Reason, Rejected, WrongSettings

LONGEST_LINE: Final = 4000
"""Characters of what is told in the log of one item."""


class Broken(AssertionError):
    """A law is broken."""


def law(holds: bool, says: str) -> None:
    """Raise Broken, with what the law ``says``, where it does not hold."""
    if not holds:
        raise Broken(says)


def see_told(error: PipelineError) -> None:
    """See that what an error says can be logged and kept: UTF-8, within bounds, and of a reason all its parts."""
    if isinstance(error, Rejected):
        see_reasons(error.reasons)
        return
    if isinstance(error, WrongSettings):
        law(all(error.problems), "what is wrong is not said")  # in a person's own words, which the log makes one line
    else:
        see_line(str(error))


def see_reasons(reasons: Iterable[Reason]) -> None:
    """See that reasons can be logged, and be kept in a letter."""
    for reason in reasons:
        see_line(reason.loggable)
        law(reason.offset is None or reason.offset >= 0, "an offset is none")
        law(msgspec.json.decode(msgspec.json.encode(reason), type=Reason) == reason, "a reason is not kept as it is")


def see_line(line: str) -> None:
    """See that a line can be logged: one that has no controls in it, nor what hides or turns around what it says."""
    law(line.isprintable(), "what is told breaks its line, or hides what it says")
    law(len(line) <= LONGEST_LINE, f"what is told has {len(line)} characters")
