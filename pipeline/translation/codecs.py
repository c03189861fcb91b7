"""How one value of a client's record is read and written: small pairs, each of them pure and tested alone.

What is read and then written, and read again, is the same: ``write`` says what ``read`` understands.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, ClassVar, Final

from msgspec import Struct

from pipeline.orders.workorder import INT64, ExternalId, Kind, Value
from pipeline.translation.ids import fault_of
from pipeline.translation.times import TICKS, can_be, happened, means_none, tell, ticks_of

__all__ = ["Anything", "Codec", "Flag", "Id", "Number", "Reference", "Text", "Time", "Words", "precision"]

EXACT: Final = 2**53
"""Up to here every whole number is one that a float can hold."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}(?:\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")

_SAMPLE: Final = datetime(2026, 10, 31, 15, 16, 45, 123000)
_UNITS: Final = (
    timedelta(milliseconds=1),
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)


class Codec(Struct, frozen=True):
    """A pair of functions; ``read`` is never given a null, ``write`` never a None: both mean that nothing is said.

    Both raise ValueError for what is wrong, with a message that does not repeat the value.
    """

    kind: ClassVar[Kind] = Kind.TEXT

    def read(self, said: Any, zone: tzinfo) -> Any:
        """What ``said`` means, a time without a zone being one of ``zone``; None where it stands for no value."""
        raise NotImplementedError

    def write(self, value: Any, zone: tzinfo) -> Any:
        """What to say; None where it cannot be told from no value."""
        raise NotImplementedError


class Anything(Codec, frozen=True):
    """A value that is not read."""

    def read(self, said: Any, zone: tzinfo) -> Any:  # noqa: D102 - as Codec says
        return said


class Text(Codec, frozen=True):
    """A text; false is none, because some systems have no null."""

    longest: int | None = None
    """Characters that the client keeps; a longer text is not told."""
    empty: bool = True
    """Whether an empty text is one; else it is none."""

    def read(self, said: Any, zone: tzinfo) -> str | None:  # noqa: D102 - as Codec says
        if isinstance(said, str):
            if not said and not self.empty:
                return None
            if said.isascii() or _encodable(said):
                return said
            raise ValueError("not a text that UTF-8 can hold")
        if said is False:
            return None
        raise ValueError("not a text")

    def write(self, value: Any, zone: tzinfo) -> str:  # noqa: D102 - as Codec says
        if not isinstance(value, str):
            raise ValueError("not a text")
        if self.longest is not None and len(value) > self.longest:
            raise ValueError(f"more than the {self.longest} characters of a short text")
        return value


class Id(Codec, frozen=True):
    """An id of the client's: an int64, or a text that can be one."""

    as_text: bool = False
    """Told as a text, also where it is a whole number."""

    def read(self, said: Any, zone: tzinfo) -> ExternalId | None:  # noqa: D102 - as Codec says
        if type(said) is int and said in INT64:
            return said
        if isinstance(said, str) and said and _encodable(said):
            fault = fault_of(said)
            if fault is None:
                return said
            raise ValueError(fault)
        raise ValueError("not an id: expected a whole number of 64 bits or a non-empty text")

    def write(self, value: ExternalId, zone: tzinfo) -> ExternalId:  # noqa: D102 - as Codec says
        return str(value) if self.as_text else value


class Reference(Id, frozen=True):
    """Our number in a client's record: people may write anything there, and what cannot be a number of ours is none."""

    def read(self, said: Any, zone: tzinfo) -> ExternalId | None:  # noqa: D102 - as Codec says
        try:
            return super().read(said.strip() if isinstance(said, str) else said, zone)
        except ValueError:
            return None


class Number(Codec, frozen=True):
    """A number that MongoDB can hold, also as the text that says it; a fraction of zero makes it a whole number."""

    kind: ClassVar[Kind] = Kind.NUMBER
    decimal_comma: bool = False
    """Told as a text with a comma, ``12,5``, and read as one."""

    def read(self, said: Any, zone: tzinfo) -> int | float | None:  # noqa: D102 - as Codec says
        if said is False:
            return None
        if isinstance(said, str):
            text = said.strip()
            text = text.replace(",", ".") if self.decimal_comma and "." not in text else text
            if not text:
                return None
            if not _NUMBER.fullmatch(text):
                raise ValueError("not a number")
            said = int(text) if text.lstrip("+-").isdecimal() else float(text)
        return _plain_number(said)

    def write(self, value: Any, zone: tzinfo) -> int | float | str:  # noqa: D102 - as Codec says
        number = _plain_number(value)
        return str(number).replace(".", ",") if self.decimal_comma else number


class Flag(Codec, frozen=True):
    """True or false, or the client's words for them."""

    kind: ClassVar[Kind] = Kind.FLAG
    true: str | int | bool = True
    false: str | int | bool = False

    def read(self, said: Any, zone: tzinfo) -> bool | None:  # noqa: D102 - as Codec says
        for value, word in ((True, self.true), (False, self.false)):
            if type(said) is type(word) and said == word:
                return value
        if isinstance(said, str) and not said.strip():
            return None
        raise ValueError(f"not {_shown(self.true)} or {_shown(self.false)}")

    def write(self, value: Any, zone: tzinfo) -> str | int | bool:  # noqa: D102 - as Codec says
        if not isinstance(value, bool):
            raise ValueError("not true or false")
        return self.true if value else self.false


class Time(Codec, frozen=True):
    """A time; one that nobody means, such as 0001-01-01, is none: see ``happened``."""

    kind: ClassVar[Kind] = Kind.TIME
    form: str = ""
    """As strftime has it, told in the client's zone; TICKS, as OData 2 has it; empty: RFC 3339 in UTC."""

    def read(self, said: Any, zone: tzinfo) -> datetime | None:  # noqa: D102 - as Codec says
        if said is False:
            return None
        if not isinstance(said, str):
            raise ValueError("not a date: expected a text")
        if not self.form or self.form == TICKS:
            return happened(said, zone)
        text = said.strip()
        try:
            moment = datetime.strptime(text, self.form)
            return happened((moment if moment.tzinfo is None else moment.astimezone(UTC)).isoformat(), zone)
        except OverflowError:
            return None  # on the first or last day of all
        except ValueError:
            if means_none(text):
                return None
            raise ValueError(f"not a date: expected {self.form}") from None

    def write(self, value: Any, zone: tzinfo) -> str | None:  # noqa: D102 - as Codec says
        if not isinstance(value, datetime):
            raise ValueError("not a date")
        if not self.form or not can_be(value):
            return tell(value)
        if self.form == TICKS:
            return ticks_of(value)
        text = value.astimezone(zone).strftime(self.form)
        back = self.read(text, zone)
        if back is None or not timedelta() <= value - back < (precision(self.form, zone) or timedelta()):
            raise ValueError(
                "cannot be told exactly, as in an hour that comes twice: add %z to the format, or let timezone be UTC"
            )
        return text


class Words(Codec, frozen=True):
    """One of the client's words, which means a value of ours; several may mean the same."""

    words: Mapping[str, Value]
    """What the client says -> what it means."""
    tell: Mapping[Any, str] = {}
    """A value of ours -> the word for it, where that is not the first that means it."""
    are_numbers: bool = False
    """The client's words are whole numbers: a number is told; a number and its text are read."""

    def read(self, said: Any, zone: tzinfo) -> Value | None:  # noqa: D102 - as Codec says
        word = str(said) if type(said) is int else said
        if isinstance(word, str) and word in self.words:
            return self.words[word]
        if said is False or (isinstance(said, str) and not said.strip()):
            return None
        raise ValueError(f"unknown word; known: {', '.join(self.words)}")

    def write(self, value: Any, zone: tzinfo) -> str | int:  # noqa: D102 - as Codec says
        word = self.tell.get(value) or next((word for word, meaning in self.words.items() if meaning == value), None)
        if word is None:
            raise ValueError(f"no word of the client's means it; known: {', '.join(map(_shown, self.words.values()))}")
        return int(word) if self.are_numbers else word


@lru_cache(maxsize=64)
def precision(form: str, zone: tzinfo) -> timedelta | None:
    """The smallest unit that a format of dates tells; None for one whose dates are not read back as the same."""
    if not form or form == TICKS:
        return _UNITS[0]
    sample = _SAMPLE.replace(tzinfo=zone)
    try:
        told = sample.strftime(form)
        if sample.replace(year=2025).strftime(form) == told:
            return None
        unit = next((unit for unit in _UNITS if (sample + unit).strftime(form) != told), None)
        read = datetime.strptime(told, form).replace(tzinfo=zone)
    except ValueError:
        return None
    return unit if unit is not None and timedelta() <= sample - read < unit else None


def _plain_number(said: Any) -> int | float:
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise ValueError("not a number")
    if isinstance(said, float):
        if not math.isfinite(said):
            raise ValueError("not a number that can be")
        return int(said) if said.is_integer() and abs(said) <= EXACT else said
    if said not in INT64:
        raise ValueError("beyond the whole numbers of 64 bits")
    return said


def _shown(word: Value) -> str:
    return str(word).lower() if isinstance(word, bool) else str(word)


def _encodable(text: str) -> bool:
    """Whether UTF-8, and so MongoDB, can hold it: JSON can spell lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
