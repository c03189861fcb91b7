"""What is remembered of the keys of a client's records from run to run, in a file; and what is told of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.clients.connector import Connector
from pipeline.clients.records.drift import LIMIT, Keys, Tally, Watch
from pipeline.clients.records.shapes import named, outermost
from pipeline.clients.watched import WatchedClient
from pipeline.disk import read_file, write_files
from pipeline.finding import Finding
from pipeline.service.customers import OnUnknown

__all__ = ["KnownKeys", "described"]

TOLD_FOR: Final = timedelta(days=30)
"""How long ``doctor`` tells of a change."""

FORMAT: Final = 1


class _Known(Struct, frozen=True):
    """What is kept from run to run."""

    version: int
    layouts: dict[str, Keys]


_DECODER: Final = msgspec.json.Decoder(_Known)
_BEFORE: Final = msgspec.json.Decoder(dict[str, Keys])
"""Of the release that did not say its version."""


class KnownKeys:
    """The keys of the records of ``client``, kept in the file ``path``; unreadable or damaged, it is begun anew."""

    def __init__(self, client: Connector, path: Path, on_unknown: OnUnknown) -> None:
        self.path = path
        self._on_unknown = on_unknown
        self._names = {
            name: named(layout.paths or [(key,) for key in layout.keys]) for name, layout in client.layouts.items()
        }
        self._known: Mapping[str, Keys] = {}
        self._watched = WatchedClient(client, self._begin, refuses=on_unknown == "dead_letter")
        self._called = client.name
        self._is_whole = True

    @property
    def client(self) -> Connector:
        """The client, watched."""
        return self._watched

    def take_tallies(self) -> dict[str, Tally]:
        """What was noted here since this was asked last, for the run that has it noted here."""
        watch, self._watched.watch = self._watched.watch, None
        return watch.tallies() if watch is not None else {}

    def add(self, tallies: Mapping[str, Tally] | None) -> None:
        """Count what a lane has noted; None: it is lost, and so no key counts as gone."""
        if tallies is None:
            self._is_whole = False
        else:
            self._watched.watch = self._watched.watch or self._begin()
            self._watched.watch.add(tallies)

    def remember(self, *, is_whole: bool) -> Sequence[str]:
        """Remember what this run has seen, if that changes anything; returns what has drifted, a line each."""
        watch, self._watched.watch = self._watched.watch, None
        if watch is None:
            return ()
        today = datetime.now(UTC).date().isoformat()
        known, found = watch.ended(today, is_whole=is_whole and self._is_whole, learns=self._on_unknown == "report")
        if _firm(known) != _firm(self._known):
            self._write(known)
            if _is_full(known) and not _is_full(self._known):
                logger.warning("{}: more than {:,} keys: new ones are not noticed", self._called, LIMIT)
        lines = [line for drift in found for line in drift.lines]
        for line in lines:
            logger.warning("{}: {}", self._called, line)
        return lines

    def findings(self) -> list[Finding]:
        """What ``doctor`` tells: the changes of the last 30 days, as far as nobody has named them since."""
        try:
            known = _load(self.path).layouts
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError):
            return [Finding("keys", "warning", f"{self.path} cannot be used: it is begun anew", "see its permissions")]
        since = (datetime.now(UTC) - TOLD_FOR).date().isoformat()
        found = []
        for layout, keys in known.items():
            names = self._names.get(layout, frozenset())
            new = [f"{path} (since {day})" for path, day in keys.new.items() if day >= since and path not in names]
            lately = {path: day for path, day in keys.gone.items() if day >= since}
            gone = [f"{path} (since {lately[path]})" for path in outermost(lately)]
            if new:
                says = f"never seen before in {layout}: {', '.join(new)}"
                found.append(Finding("keys", "warning", says, "name them in the layout, or see on_unknown"))
            if gone:
                says = f"in no record in {layout} any more: {', '.join(gone)}"
                found.append(Finding("keys", "warning", says, "see what the sender changed"))
        if _is_full(known):
            says = f"more than {LIMIT:,} of them: new ones are not noticed"
            found.append(Finding("keys", "warning", says, 'set on_unknown = "ignore", or see what the sender changed'))
        return found

    def _begin(self) -> Watch:
        try:
            self._known = _load(self.path).layouts
        except FileNotFoundError:
            self._known = {}
        except (OSError, ValueError, RecursionError):
            logger.warning("{} cannot be used: which keys are known is begun anew", self.path)
            self._known = {}
        return Watch(self._names, self._known, thorough=self._on_unknown == "dead_letter")

    def _write(self, known: Mapping[str, Keys]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            body = msgspec.json.format(msgspec.json.encode(_Known(FORMAT, dict(known)), order="sorted"), indent=1)
            write_files(self.path.parent, {self.path.name: body}, mode=0o600, durability="none")
        except (OSError, UnicodeEncodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "a key is no Unicode"
            logger.warning("{} cannot be written ({}): what is new is told again", self.path, why)


def described(path: Path) -> tuple[int, list[str]]:
    """The version of what is remembered in ``path``, and what that is; raises OSError, and ValueError for damage."""
    known = _load(path)
    return known.version, [f"{len(keys.seen):,} keys are known in {layout}" for layout, keys in known.layouts.items()]


def _load(path: Path) -> _Known:
    """What is kept in ``path``; raises OSError, and ValueError or RecursionError for what cannot be understood."""
    body = read_file(path)
    try:
        known = _DECODER.decode(body)
    except msgspec.ValidationError:
        known = _Known(0, _BEFORE.decode(body))
    if known.version > FORMAT:
        raise ValueError("it is of a later version")
    paths = (path for keys in known.layouts.values() for path in (*keys.seen, *keys.always, *keys.new, *keys.gone))
    if not all(path.isprintable() for path in (*known.layouts, *paths)):
        raise ValueError("it has keys that were never noted so")
    return known


def _firm(known: Mapping[str, Keys]) -> Mapping[str, Keys]:
    """Without what depends on how many records a run read: it may read a part of them again, and learns nothing new."""
    return {layout: replace(keys, often=frozenset()) for layout, keys in known.items()}


def _is_full(known: Mapping[str, Keys]) -> bool:
    return sum(len(keys.seen) for keys in known.values()) >= LIMIT
