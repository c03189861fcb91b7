"""What the people of both sides know of each other: which orders there are, and who typed what."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from tests.simulation.steps import Edit, Setting
from tests.simulation.words import token

NUMBERS = ("100", "N1", 102)
"""What the orders are called where both sides share their numbers."""
FIELDS = ("title", "description", "asset")
"""The fields whose values tell which edit they are of."""


class Made(Struct, frozen=True):
    """What somebody typed."""

    side: str
    slot: int
    field: str
    text: str
    replaced: str | None
    """The token of what was there."""

    @property
    def token(self) -> str | None:
        """Which edit it is."""
        return token(self.text)


class People:
    """Remembers what people did, on whichever side."""

    def __init__(self) -> None:
        self.made: dict[int, str] = {}
        """By slot, the side that made it first."""
        self.typed: list[Made] = []
        self.deleted: set[tuple[int, str]] = set()
        """Who ever deleted which order."""
        self.undeleted: set[int] = set()
        """The orders that the ERP's people brought back without a time that counts, which may be in vain."""
        self.excused: set[str | None] = set()
        """Values that nobody needs to find again: what was there where somebody made an order one that cannot be
        understood, and what was typed into a database that was then restored, or into a document that was removed."""
        self.touched: set[int] = set()
        """The orders that somebody did something to in TracOS."""
        self.lost: set[int] = set()
        """The orders that were in TracOS, and were removed without a mark, or with a database that was restored."""
        self.statuses: dict[int, set[str]] = {}
        """By order, the statuses that somebody set."""
        self.spoiled: set[int] = set()
        """The orders that could not be understood for a while."""
        self._good: dict[tuple[int, str], tuple[str, Any]] = {}
        """By slot and side, the key that was spoiled last, and what was there before."""

    def may_make(self, setting: Setting, slot: int) -> bool:
        """Whether both sides may make the order: where it is one by its number, and the ERP's list shows all.

        One that is an integer here and a text there MongoDB does not keep from being two, which every run then tells.
        """
        is_one = setting.ids == "shared" and setting.transport != "folders" and isinstance(NUMBERS[slot], str)
        return slot not in self.made or is_one

    def spoil(self, edit: Edit, order: dict[str, Any], key: str, value: Any) -> None:
        """Put ``value`` where it makes the order one that cannot be understood; None: nothing is there."""
        self.spoiled.add(edit.slot)
        self._good[edit.slot, edit.side] = key, order.get(key)
        self.excused.add(token(order.get(key)))
        order[key] = value
        if value is None:
            del order[key]

    def excuse(self, slots: Iterable[int]) -> None:
        """What was typed in TracOS of these orders need not be found again."""
        slots = set(slots)
        self.lost |= slots
        self.excused |= {one.token for one in self.typed if one.side == "tracos" and one.slot in slots}

    def mend(self, edit: Edit, order: dict[str, Any]) -> None:
        """Put back what was there."""
        key, value = self._good.pop((edit.slot, edit.side), ("", None))
        if value is None:
            order.pop(key, None)
        else:
            order[key] = value


def can_be(edit: Edit, *, is_deleted: bool) -> bool:
    """Whether people do this to an order that is, or is not, deleted."""
    return edit.what == "mend" or is_deleted is (edit.what in ("undelete", "remake"))
