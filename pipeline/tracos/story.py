"""What the decision log is told of one batch, and when."""

from collections.abc import Iterable, Iterator
from typing import Final

from loguru import logger
from msgspec.structs import replace

from pipeline.history.decisions import MISSED, Entry
from pipeline.orders.hand_over import taken_for_ours
from pipeline.orders.merge import Current, Decision, Lost
from pipeline.orders.workorder import ExternalId

__all__ = ["Story", "tell", "tell_lost"]

_GAVE_WAY: Final = logger.bind(event="gave_way")
_TAKEN: Final = logger.bind(event="taken_for_ours")
_WHOSE: Final = {"client": "the client", "tracos": "TracOS"}


def tell(number: ExternalId, current: Current | None, decision: Decision) -> None:
    """Log what a person should know of a decision about an order that was ``current``."""
    tell_lost(number, decision.lost)
    for field in taken_for_ours(current.sync, decision.sync) if current and current.sync else ():
        _TAKEN.warning(
            "order {}: the client was told of another {} twice and still shows its own old one, which looks like that "
            "cut or written another way: it counts as such from now on; see that the client does not refuse the change",
            number,
            field,
        )


def tell_lost(number: ExternalId, lost: Iterable[Lost]) -> None:
    """Log what gave way of an order, and why; its values are in the decision log alone."""
    for one in lost:
        _GAVE_WAY.info("order {}: {} of {} gave way: {}", number, one.field, _WHOSE[one.side], one.because)


class Story:
    """The entries of a batch, by the record's position: of the last attempt at it, and those told ahead of a write.

    What overwrites a value that somebody edited is told before it is written, and taken back where the write missed;
    everything else is told once it is written.
    """

    def __init__(self) -> None:
        self._decided: dict[int, Entry] = {}
        self._due: set[int] = set()
        self._ahead: dict[int, Entry] = {}
        self._taken_back: list[Entry] = []

    def decide(self, position: int, entry: Entry | None) -> None:
        """What is decided now; None where nothing is to be told."""
        if entry is None:
            self._due.discard(position)
        else:
            self._decided[position] = entry
            self._due.add(position)

    def was_written(self, position: int) -> None:
        """What was decided before is what is there now: its reply was lost."""
        if position in self._decided:
            self._due.add(position)

    def ahead(self, positions: Iterable[int]) -> Iterator[Entry]:
        """The entries to tell before they are written, in the order of ``positions``."""
        for position in positions:
            if position in self._due and not self._is_told(position):
                self.take_back(position)
                self._ahead[position] = self._decided[position]
                yield self._decided[position]

    def done(self, positions: Iterable[int]) -> list[Entry]:
        """The entries to tell of what is done, where they were not told ahead, in the order of ``positions``."""
        if not self._ahead:
            return [self._decided[position] for position in positions if position in self._due]
        entries: list[Entry] = []
        for position in positions:
            if position not in self._due:
                continue
            if self._is_told(position):
                del self._ahead[position]
            else:
                self.take_back(position)
                entries.append(self._decided[position])
        return entries

    def take_back(self, position: int) -> None:
        """What was told ahead was not written."""
        before = self._ahead.pop(position, None)
        if before is not None:
            self._taken_back.append(replace(before, rule=MISSED, version=None, changes=()))

    def taken_back(self) -> list[Entry]:
        """The entries that take others back, each once; among them those of what was never written."""
        for position in list(self._ahead):
            self.take_back(position)
        entries, self._taken_back = self._taken_back, []
        return entries

    def _is_told(self, position: int) -> bool:
        before, entry = self._ahead.get(position), self._decided[position]
        return before is not None and replace(before, at=entry.at) == entry
