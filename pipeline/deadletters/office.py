"""The dead letters of all flows as a person handles them: found, counted, mended, given up."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from pipeline.deadletters.drawer import Drawer, prune_drawer
from pipeline.deadletters.letter import (
    Check,
    Letter,
    id_of_name,
    key_of_name,
    load_letter,
    mend,
    read_letter,
    unreadable,
)
from pipeline.errors import Fatal, See, WrongUsage

__all__ = ["DeadLetterOffice", "Filed", "Filters", "Stats", "see_mendable"]

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
    """Finds and handles the letters below ``root``, for the person ``by``.

    Reading needs no lock; what writes takes the flow's folder.
    """

    def __init__(self, root: Path, by: str = "") -> None:
        self.root = root
        self._by = by

    def find(self, filters: Filters | None = None) -> Iterator[Filed]:
        """The open letters, by flow and name, read one at a time."""
        filters, now = filters or Filters(), datetime.now(UTC)
        for path in self._paths():
            filed = _filed(path, read_letter)
            if filed is not None and filters.hold(filed.letter, now):
                yield filed

    def get(self, letter_id: str) -> Filed:
        """The open letter whose id begins with ``letter_id``; raises WrongUsage where there is none, or several."""
        found = [
            (full, folder / name)
            for folder, name in self._names()
            if (full := id_of_name(folder.name, name)).startswith(letter_id)
        ]
        if len(found) > 1:
            several = ", ".join(full for full, _ in found[:SHOWN])
            raise WrongUsage(f"several dead letters have an id that begins with {letter_id}: {several}")
        filed = _filed(found[0][1]) if found else None
        if filed is None:
            raise WrongUsage(f"there is no open dead letter {letter_id}; `dead-letters list` lists them")
        return filed

    def mend(self, filed: Filed, text: str, check: Check | None = None) -> Filed:
        """Keep ``text`` as what a retry runs, with what ``check`` finds against it; the original bytes stay.

        Equal to them: nothing is mended. Raises WrongUsage where there is nothing to mend, and where the letter was
        closed or mended since ``filed`` was read: nothing is changed then.
        """
        see_mendable(filed)
        with self._taken(filed) as (drawer, letter):
            mended = mend(letter, text, check, self._by)
            drawer.write({filed.path.name: mended})
        return filed._replace(letter=mended)

    def release(self, letters: Sequence[Filed]) -> int:
        """Have the next run try these again, all of one folder, wherever they come from; how many are open still."""
        with self.drawer(letters[0].path.parent) as drawer:
            found = {filed.path.name: drawer.read(filed.path.name) for filed in letters}
            open_ = {name: replace(letter, stamp="released") for name, letter in found.items() if letter is not None}
            drawer.write(open_)
        return len(open_)

    def discard(self, filed: Filed, because: str) -> None:
        """Give the letter up: it moves, with the reason, into ``discarded.jsonl`` beside it.

        Raises WrongUsage without a reason, and where the letter was closed or mended since ``filed`` was read.
        """
        if not because.strip():
            raise WrongUsage("a dead letter is discarded for a reason: say why")
        with self._taken(filed) as (drawer, letter):
            drawer.archive({filed.path.name: replace(letter, because=because.strip())}, "discarded", self._by)

    def stats(self, filters: Filters | None = None) -> Stats:
        """Count the open letters."""
        flows, clients, stages, reasons = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
        mended, oldest = 0, None
        for _, _, letter in self.find(filters):
            flows[letter.flow] += 1
            clients[letter.client] += 1
            stages[letter.stage] += 1
            reasons.update(dict.fromkeys(map(str, letter.reasons), 1))
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

    def prune(self, before: datetime) -> None:
        """Remove the letters that were closed ``before``, all of a month at once. Raises OSError.

        What a run has at this moment waits for another time.
        """
        for directory in self._flows():
            with suppress(Fatal):
                prune_drawer(directory, before)

    @contextmanager
    def drawer(self, directory: Path) -> Iterator[Drawer]:
        """The letters of one folder, for this process alone; raises Fatal while a run has them."""
        drawer = Drawer(directory)
        drawer.open()
        try:
            yield drawer
        finally:
            drawer.close()

    @contextmanager
    def taken(self, client: str) -> Iterator[Sequence[Drawer]]:
        """All folders of the client, for this process alone: no run has it meanwhile. Raises Fatal while one does."""
        with ExitStack() as opened:
            try:
                folders = [path for path in self._flows() if path.name.startswith(f"{client}.")]
            except OSError as error:
                raise self._unreadable(error) from error
            yield [opened.enter_context(self.drawer(path)) for path in folders]

    @contextmanager
    def _taken(self, filed: Filed) -> Iterator[tuple[Drawer, Letter]]:
        """The letter's folder, for this process alone, and the letter as it is now."""
        with self.drawer(filed.path.parent) as drawer:
            now = _filed(filed.path)
            if now is None:
                raise WrongUsage(f"the dead letter {filed.id} was closed meanwhile: nothing was changed")
            if now.letter.mended != filed.letter.mended:
                raise WrongUsage(
                    f"the dead letter {filed.id} was mended meanwhile: look at it again; nothing was changed"
                )
            yield drawer, now.letter

    def _paths(self) -> Iterator[Path]:
        """The files of all open letters; raises Fatal where a folder cannot be read."""
        for folder, name in self._names():
            yield folder / name

    def _names(self) -> Iterator[tuple[Path, str]]:
        """The folder and the name of each of them."""
        try:
            for folder in self._flows():
                with os.scandir(folder) as entries:
                    names = sorted(entry.name for entry in entries if key_of_name(entry.name))
                yield from ((folder, name) for name in names)
        except OSError as error:
            raise self._unreadable(error) from error

    def _flows(self) -> list[Path]:
        """The folders of all flows; raises OSError."""
        return sorted(path for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []

    def _unreadable(self, error: OSError) -> Fatal:
        return Fatal(
            f"cannot read the dead letters in {self.root} (DATA_DEAD_LETTER_DIR): {error.strerror}; set it right, then "
            "run again",
            see=See.LETTERS,
        )


def see_mendable(filed: Filed) -> None:
    """Raise WrongUsage for a letter that is to be mended elsewhere."""
    if not filed.letter.flow.endswith(".inbound"):
        raise WrongUsage(f"{filed.id} is about an order in TracOS: mend the order there, then retry the letter")
    if not filed.letter.raw:
        raise WrongUsage(f"{filed.id} holds no bytes: mend {filed.letter.locator} where it came from")


def _filed(path: Path, read: Callable[[Path], Letter | None] = load_letter) -> Filed | None:
    """The letter in the file; its flow and its client are those of the folder that it lies in, whatever it says."""
    try:
        letter, flow = read(path), path.parent.name
    except OSError as error:
        raise unreadable(path, error) from error
    if letter is None:
        return None
    if letter.flow != flow:
        letter = replace(letter, flow=flow, client=flow.rpartition(".")[0] or flow)
    return Filed(id_of_name(flow, path.name), path, letter)
