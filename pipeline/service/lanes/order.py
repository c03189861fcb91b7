"""In which order groups may be written that are worked side by side; pure."""

from collections.abc import Collection

from msgspec import Struct

from pipeline.orders.workorder import ExternalId

__all__ = ["Order"]


class _Group(Struct):
    keys: frozenset[ExternalId] | None = None
    """The orders that it is about; None: it has not said so yet."""
    may_write: bool = False


class Order:
    """Lets a group be written when all groups before it have said which orders they are about, and none shares one.

    So what is known of one order is written in the order in which it was read. A group that is done holds back no
    other. Groups are called by numbers that rise in the order of reading.
    """

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = {}

    def deal(self, number: int) -> None:
        """A group is begun; or begun again, in its old place, and whoever works it now says anew what it is about."""
        self._groups[number] = _Group()

    def announce(self, number: int, keys: Collection[ExternalId]) -> list[int]:
        """The group is about these orders; returns the groups that may be written now, and could not before."""
        self._groups[number].keys = frozenset(keys)
        return self._let()

    def done(self, number: int) -> list[int]:
        """The group is written, or nothing of it is to be; returns what ``announce`` returns."""
        del self._groups[number]
        return self._let()

    def _let(self) -> list[int]:
        let: list[int] = []
        before = set[ExternalId]()
        for number, group in self._groups.items():
            if group.keys is None:
                break
            if not group.may_write and group.keys.isdisjoint(before):
                group.may_write = True
                let.append(number)
            before |= group.keys
        return let
