"""The dead letters of all flows as a person handles them: found, counted, mended, given up."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from pipeline.deadletters.drawer import Drawer
from pipeline.deadletters.letter import Letter, id_of_name, key_of_name, read_letter
from pipeline.errors import WrongUsage

__all__ = ["DeadLetterOffice", "Filed", "Filters", "Stats"]

SHOWN: Final = 5


class Filed(NamedTuple):
    """A letter, the short id that a person calls it by, and the file that it is in."""

    id: str
    path: Path
    letter: Letter

    @property
    def place(self) -> str:
        """The flow and the file, relative to the folder of all letters."""
        return f"{self.letter.flow}/{self.path.name}"


class Filters(Struct, frozen=True, kw_only=True):
    """Which letters; all that is said must hold."""

    flow: str | None = None
    """The flow's whole name, or its last part (inbound, outbound)."""
    client: str | None = None
    stage: str | None = None
    reason: str | None = None
    """A part of a reason's text or path, in whatever case."""
    older: timedelta | None = None
    """First seen at least so long ago."""
    newer: timedelta | None = None
    """Last seen at most so long ago."""

    def hold(self, letter: Letter, now: datetime) -> bool:
        """Whether ``letter`` is one of them."""
        return (
            self.flow in (None, letter.flow, letter.flow.rpartition(".")[2])
            and self.client in (None, letter.client)
            and self.stage in (None, letter.stage)
            and (self.reason is None or any(self.reason.casefold() in str(one).casefold() for one in letter.reasons))
            and (self.older is None or letter.first_seen <= now - self.older)
            and (self.newer is None or letter.last_seen >= now - self.newer)
        )


class Stats(Struct, frozen=True, kw_only=True):
    """How many letters there are, by flow, client, stage and reason."""

    total: int
    mended: int
    flows: Mapping[str, int]
    clients: Mapping[str, int]
    stages: Mapping[str, int]
    reasons: Mapping[str, int]
    oldest: datetime | None


class DeadLetterOffice:
    """Finds and handles the letters below ``root``. Reading needs no lock; what writes takes the flow's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, filters: Filters | None = None) -> Iterator[Filed]:
        """The open letters, by flow and name, read one at a time."""
        filters, now = filters or Filters(), datetime.now(UTC)
        for directory in self._flows():
            for name in sorted(path.name for path in directory.iterdir() if key_of_name(path.name)):
                letter = read_letter(directory / name)
                if letter is not None and filters.hold(letter, now):
                    yield Filed(id_of_name(directory.name, name), directory / name, letter)

    def get(self, letter_id: str) -> Filed:
        """The open letter whose id begins with ``letter_id``; raises WrongUsage where there is none, or several."""
        found = [
            (full, directory / path.name)
            for directory in self._flows()
            for path in directory.iterdir()
            if key_of_name(path.name) and (full := id_of_name(directory.name, path.name)).startswith(letter_id)
        ]
        if len(found) > 1:
            several = ", ".join(full for full, _ in found[:SHOWN])
            raise WrongUsage(f"several dead letters have an id that begins with {letter_id}: {several}")
        letter = read_letter(found[0][1]) if found else None
        if letter is None:
            raise WrongUsage(f"there is no open dead letter {letter_id}; `dead-letters list` lists them")
        return Filed(*found[0], letter)

    def mend(self, filed: Filed, text: str) -> Filed:
        """Keep ``text`` as what a retry runs; the original bytes stay. Equal to them: nothing is mended."""
        letter = replace(filed.letter, mended=None if text.encode() == filed.letter.raw else text)
        with self.drawer(filed.letter.flow) as drawer:
            drawer.write({filed.path.name: letter})
        return filed._replace(letter=letter)

    def release(self, letters: Sequence[Filed]) -> None:
        """Have the next run try these again, wherever they come from."""
        with self.drawer(letters[0].letter.flow) as drawer:
            drawer.write({filed.path.name: replace(filed.letter, stamp="released") for filed in letters})

    def discard(self, filed: Filed, because: str) -> None:
        """Give the letter up: it moves, with the reason, into ``discarded.jsonl`` beside it."""
        if not because.strip():
            raise WrongUsage("a dead letter is discarded for a reason: say why")
        with self.drawer(filed.letter.flow) as drawer:
            drawer.archive({filed.path.name: replace(filed.letter, because=because.strip())}, "discarded")

    def stats(self, filters: Filters | None = None) -> Stats:
        """Count the open letters."""
        flows, clients, stages, reasons = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
        mended, oldest = 0, None
        for _, _, letter in self.find(filters):
            flows[letter.flow] += 1
            clients[letter.client] += 1
            stages[letter.stage] += 1
            reasons.update({str(reason) for reason in letter.reasons})
            mended += letter.mended is not None
            oldest = min(oldest or letter.first_seen, letter.first_seen)
        counted = [dict(counter.most_common()) for counter in (flows, clients, stages, reasons)]
        return Stats(
            total=flows.total(),
            mended=mended,
            flows=counted[0],
            clients=counted[1],
            stages=counted[2],
            reasons=counted[3],
            oldest=oldest,
        )

    @contextmanager
    def drawer(self, flow: str) -> Iterator[Drawer]:
        """The letters of one flow, for this process alone; raises Fatal while a run has them."""
        drawer = Drawer(self.root / flow)
        drawer.open()
        try:
            yield drawer
        finally:
            drawer.close()

    def _flows(self) -> list[Path]:
        return sorted(path for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []
