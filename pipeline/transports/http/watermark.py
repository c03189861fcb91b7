"""Up to which time everything that was read is settled; pure."""

from collections.abc import Mapping
from datetime import datetime

from pipeline.dataflow.locators import Locator
from pipeline.dataflow.messages import Fate
from pipeline.orders.workorder import later

__all__ = ["Watermark"]


class _Group:
    def __init__(self, times: Mapping[Locator, datetime | None]) -> None:
        self.open = len(times)
        self.is_left = False
        """Something of it is left for the next run, which must ask for it again."""
        self.newest = max((time for time in times.values() if time is not None), default=None)


class Watermark:
    """Follows groups of items from ``begin`` to ``settle``.

    Items come in any order: only when all are settled is it sure that nothing older is to come. ``in_order``: they come
    oldest first, so that it is sure of every group that is settled with all before it.
    """

    def __init__(self, *, in_order: bool = False) -> None:
        self._in_order = in_order
        self._groups: list[_Group] = []
        self._of: dict[Locator, _Group] = {}
        self._newest: datetime | None = None
        self._limit: datetime | None = None
        self._told: datetime | None = None
        self._ended = False

    def limit(self, clock: datetime | None) -> None:
        """The server's own clock: a time after it is a mistake in the data, and would hide what changes until then."""
        self._limit = self._limit or clock

    def begin(self, times: Mapping[Locator, datetime | None]) -> None:
        """A group of items is on its way: their times, by locator."""
        group = _Group(times)
        self._groups.append(group)
        self._of |= dict.fromkeys(times, group)

    def settle(self, fates: Mapping[Locator, Fate]) -> None:
        """These are settled."""
        for locator, fate in fates.items():
            group = self._of.pop(locator)
            group.open -= 1
            group.is_left = group.is_left or fate is Fate.DEFERRED

    def end(self) -> None:
        """No more items are to come."""
        self._ended = True

    def advance(self) -> datetime | None:
        """The time up to which everything is settled, where it is known and later than it was."""
        while self._groups and not self._groups[0].open and not self._groups[0].is_left:
            self._newest = later(self._newest, self._groups.pop(0).newest)
        if self._newest is None or not (self._in_order or (self._ended and not self._groups)):
            return None
        sure = min(self._newest, self._limit) if self._limit else self._newest
        if self._told is not None and sure <= self._told:
            return None
        self._told = sure
        return sure
