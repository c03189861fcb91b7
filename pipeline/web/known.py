"""What the page knows of the world: looked up while nobody waits for it, and shown with its age.

One look costs little, however many letters, runs and decisions there are: letters are read once, of the logs no more
than their ends, and what does not answer at once is shown as it was known last.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct

from pipeline.deadletters.shelf import OnShelf, Shelf
from pipeline.disk import in_thread
from pipeline.errors import Fatal, See, WrongSettings
from pipeline.history.journal import Run, recent_runs
from pipeline.service.session import Session, Sessions
from pipeline.service.settings import Settings
from pipeline.tracos.waiting import Waiting
from pipeline.web.doors import Doors

__all__ = ["ClientSeen", "Known", "Seen"]

PATIENCE_SECONDS: Final = 0.4
"""How long a look waits for what is being looked up."""
FEW: Final = 5_000
"""So many letters are waited for, so that whoever has just closed one does not see it any more."""
FEW_SECONDS: Final = 4.0
"""But not longer."""
FIRST_SECONDS: Final = 2.0
"""How long the first look waits for what is seen of clients; the others show what was seen last, and have it seen."""
FRESH_SECONDS: Final = 5.0
"""How long that is taken for true."""
ANSWER_SECONDS: Final = 5.0
"""How long MongoDB may take to say what waits."""
DAYS: Final = 30
"""How far back runs are looked for; see also how much is read of them."""
LATELY_BYTES: Final = 256 * 1024
"""How much of the journal is read for the runs that are under way."""
FILES: Final = 20_000
"""A folder of more files is not counted."""


class ClientSeen(Struct, frozen=True, kw_only=True):
    """What is seen of one client."""

    flows: Sequence[str] = ()
    waiting: Waiting | None = None
    """Its orders that wait to be told; None: that cannot be seen."""
    why: str = ""
    """Why it cannot."""
    is_at_rest: bool = False
    """Whether its TracOS is embedded, and runs only with a run."""
    arrived: int | None = None
    """Files that came since it was read last; None: its orders do not come as files, or there are too many."""
    problems: Sequence[str] = ()
    """Why it is left out."""


class Seen(Struct, frozen=True, kw_only=True):
    """What is seen of all of them."""

    clients: Mapping[str, ClientSeen] = {}
    problem: str = ""
    """What is wrong with the settings as a whole."""
    at: datetime | None = None
    """None: it was not looked at yet."""


class Known:
    """Looks things up; to be used in one event loop."""

    def __init__(self, settings: Settings, doors: Doors) -> None:
        self._settings = settings
        self._doors = doors
        self._shelf = Shelf(settings.data_dead_letter_dir)
        self._seen = Seen()
        self._looking: dict[str, asyncio.Task[Fatal | None]] = {}

    def begin(self) -> None:
        """Have the letters read before anybody asks; to be called in the event loop."""
        self._have("letters", self._read_letters)

    async def letters(self) -> OnShelf:
        """The open letters, as far as they have been read; few are waited for. Raises Fatal."""
        for _ in range(int(FEW_SECONDS / PATIENCE_SECONDS)):
            if await self._look("letters", self._read_letters) or self._shelf.seen.total > FEW:
                break
        return self._shelf.seen

    async def runs(self) -> tuple[list[Run], bool]:
        """The newest runs, oldest first, and whether these are all of the last days. Raises Fatal."""
        since = datetime.now(UTC) - timedelta(days=DAYS)
        return await in_thread(recent_runs, self._settings.data_journal, since)

    async def under_way(self, now: datetime) -> list[Run]:
        """The runs that are under way: each has told of itself lately. Raises Fatal."""
        since = now - timedelta(days=DAYS)
        runs, _ = await in_thread(recent_runs, self._settings.data_journal, since, LATELY_BYTES)
        return [run for run in runs if run.is_under_way(now)]

    async def clients(self, read: Mapping[str, datetime]) -> Seen:
        """What is seen of the clients; ``read`` is when each was read last."""
        at = self._seen.at
        if at is None or (datetime.now(UTC) - at).total_seconds() > FRESH_SECONDS:
            patience = FIRST_SECONDS if at is None else 0.0
            await self._look("clients", lambda: self._see_clients(read), patience)
        return self._seen

    async def _look(self, what: str, how: Callable[[], Awaitable[None]], patience: float = PATIENCE_SECONDS) -> bool:
        """Have it looked up, unless that is being done, and wait a little; whether it is done. Raises Fatal."""
        task = self._have(what, how)
        await asyncio.wait({task}, timeout=patience)
        if task.done() and (error := task.result()) is not None:
            raise error
        return task.done()

    def _have(self, what: str, how: Callable[[], Awaitable[None]]) -> asyncio.Task[Fatal | None]:
        task = self._looking.get(what)
        if task is None or task.done():
            task = self._looking[what] = asyncio.ensure_future(_kept(how))
        return task

    async def _read_letters(self) -> None:
        try:
            while await in_thread(self._shelf.step):
                pass
        except OSError as error:
            root = self._settings.data_dead_letter_dir
            raise Fatal(
                f"cannot read the dead letters in {root} (DATA_DEAD_LETTER_DIR): {error.strerror}; set it right",
                see=See.LETTERS,
            ) from error

    async def _see_clients(self, read: Mapping[str, datetime]) -> None:
        try:
            sessions = await in_thread(Sessions, self._settings)
        except WrongSettings as error:
            self._seen = Seen(problem=str(error), at=datetime.now(UTC))
            return
        found = await asyncio.gather(*(self._see(session, read.get(session.client.name)) for session in sessions))
        clients = {session.client.name: one for session, one in zip(sessions, found, strict=True)}
        clients |= {name: ClientSeen(problems=lines) for name, lines in sessions.problems.items()}
        self._seen = Seen(clients=clients, at=datetime.now(UTC))

    async def _see(self, session: Session, read: datetime | None) -> ClientSeen:
        waiting, why = None, ""
        if "outbound" in session.flows and self._doors.uri:
            try:
                waiting = await asyncio.wait_for(session.waiting(self._doors.uri), ANSWER_SECONDS)
            except (TimeoutError, Fatal) as error:
                why = str(error) or "TracOS takes its time to answer"
        folders = session.client.watched if "inbound" in session.flows else ()
        arrived = await in_thread(_newer, folders, read) if folders else None
        is_at_rest = not self._doors.uri
        return ClientSeen(flows=list(session.flows), waiting=waiting, why=why, is_at_rest=is_at_rest, arrived=arrived)


async def _kept(how: Callable[[], Awaitable[None]]) -> Fatal | None:
    """What it raised: where nobody waits for it any more, nobody is told."""
    try:
        await how()
    except Fatal as error:
        return error
    return None


def _newer(folders: Sequence[Path], read: datetime | None) -> int | None:
    """How many files are newer; None where there are too many to be counted."""
    count = looked = 0
    since = read.timestamp() if read else 0.0
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    looked += 1
                    if looked > FILES:
                        return None
                    is_newer = entry.is_file() and entry.stat().st_mtime > since
                    count += is_newer and not entry.name.startswith(".")
        except OSError:
            continue
    return count
