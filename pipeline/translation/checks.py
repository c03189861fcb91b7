"""Checks of one JSON object that every layout makes: each looks at one key and notes what is wrong with it."""

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any

from pipeline.errors import Reason, Rejected
from pipeline.orders.workorder import INT64, ExternalId
from pipeline.translation.ids import fault_of
from pipeline.translation.times import happened

__all__ = ["Checks", "required"]


class Checks:
    """Reads the values of one record; ``done`` raises Rejected with all that was wrong.

    A value that is null counts as absent; so does false where a text or a date is optional, because some systems have
    no null, and a date that nobody means (see ``happened``). A value that is a Reason stands for one that could not be
    read: it is told with the others. What a failed check returns is of the right type and means nothing.
    """

    def __init__(self, data: Mapping[str, Any], zone: tzinfo) -> None:
        self._data = data
        self._zone = zone
        self._reasons: list[Reason] = []

    def wrong(self, message: str, key: str = "") -> None:
        """Note one thing that is wrong, with a key or with the whole record."""
        self._reasons.append(Reason(message, f"$.{key}" if key else "$"))

    def done(self) -> None:
        """Raise Rejected with all reasons, if there are any."""
        if self._reasons:
            raise Rejected(*self._reasons)

    def required_id(self, key: str) -> ExternalId:
        """An int64, or a text that can be an id."""
        value = self._required(key)
        if type(value) is int and value in INT64:
            return value
        if isinstance(value, str) and value and _encodable(value):
            fault = fault_of(value)
            if fault is None:
                return value
            self.wrong(fault, key)
        elif value is not None:
            self.wrong("not an id: expected a whole number of 64 bits or a non-empty text", key)
        return ""

    def required_word(self, key: str, words: Mapping[str, Any]) -> str:
        """One of ``words``."""
        value = self._required(key)
        if isinstance(value, str) and value in words:
            return value
        if value is not None:
            self.wrong(f"unknown status; known: {', '.join(words)}", key)
        return ""

    def required_time(self, key: str) -> datetime:
        """A date that must be there."""
        value = self._required(key)
        before = len(self._reasons)
        moment = None if value is None else self._time(key, value)
        if moment is None and value is not None and len(self._reasons) == before:
            self.wrong("required, but what is there stands for no date (empty, before 1970, or after 2098)", key)
        return moment or datetime.min

    def time(self, key: str) -> datetime | None:
        """A date, or None where there is none."""
        value = self._data.get(key)
        return None if value is None else self._time(key, value)

    def text(self, key: str) -> str | None:
        """A text, or None where there is none."""
        value = self._data.get(key)
        if value is None or value is False:
            return None
        if isinstance(value, str) and _encodable(value):
            return value
        if isinstance(value, Reason):
            self._reasons.append(value)
        else:
            self.wrong("not a text" if not isinstance(value, str) else "not a text that UTF-8 can hold", key)
        return None

    def flag(self, key: str) -> bool:
        """True or false; absent counts as false."""
        value = self._data.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.wrong("not true or false", key)
        return False

    def _required(self, key: str) -> Any:
        value = self._data.get(key)
        if value is None:
            self.wrong("required, but null" if key in self._data else "required, but missing", key)
        elif isinstance(value, Reason):
            self._reasons.append(value)
            return None
        return value

    def _time(self, key: str, value: Any) -> datetime | None:
        """The instant; None where there is none, and where it is wrong, which is noted."""
        if value is False:
            return None
        if isinstance(value, Reason):
            self._reasons.append(value)
            return None
        if not isinstance(value, str):
            self.wrong("not a date: expected a text", key)
            return None
        try:
            return happened(value, self._zone)
        except ValueError as error:
            self.wrong(str(error), key)
            return None


def required(key: str, value: Any, told: str | None) -> Iterator[Reason]:
    """Why a layout that requires ``key`` cannot be told of ``value``, of which ``told`` is made; none where it can."""
    if told is None:
        what = "missing" if value is None else "before 1970 or after 2098, which would be read as no date"
        yield Reason(f"{what}, and this layout requires one", f"$.{key}")


def _encodable(text: str) -> bool:
    """Whether UTF-8, and so MongoDB, can hold it: JSON can spell lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
