"""What becomes of each pass of a client, told to those who watch: metrics, alerts.

A pass is one run of a client's flows: ``run`` makes one of each client, ``serve`` one after the other.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Final

from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.run import Report
from pipeline.deadletters import Census, Standing
from pipeline.disk import in_thread
from pipeline.errors import Fatal, Held, TracosOutage, WrongSettings
from pipeline.history.decisions import DecisionLog
from pipeline.service.session import Session
from pipeline.service.settings import Settings
from pipeline.service.telling import as_fatal
from pipeline.tracos.waiting import Waiting

__all__ = ["Pass", "Passes", "Watcher", "whose"]

PATIENCE_SECONDS: Final = 8.0
"""How long a run that is over waits for those who watch."""


class Pass(Struct, frozen=True, kw_only=True):
    """One pass of one client that has ended, and what was seen of the client afterwards."""

    client: str
    run: str = ""
    """The id of the run that it is of."""
    began: datetime
    seconds: float
    """With what the lease was waited for."""
    reports: Sequence[Report] = ()
    """One for each flow that was begun."""
    gave_way: Mapping[str, int] = {}
    """How many values gave way in it, by the side that they were of."""
    error: Fatal | None = None
    """What stopped it; None: nothing has."""
    is_whole: bool = True
    """Whether nobody has interrupted it."""
    letters: Mapping[str, Standing] | None = None
    """The client's open dead letters by flow (inbound, outbound). None: they could not be looked at."""
    waiting: Waiting | None = None
    """Its orders that wait to be told. None: they could not be looked at."""
    is_left_alone: bool | None = None
    """Whether its system failed so often that it is not asked for a while; None: nobody counts."""

    @property
    def is_good(self) -> bool:
        """Whether it went through to its end."""
        return self.is_whole and self.error is None

    @property
    def is_held(self) -> bool:
        """Whether it came to nothing because somebody else works on these orders."""
        return isinstance(self.error, Held)


class Watcher(ABC):
    """Is told of passes, in one event loop; what it does about them takes no time, or is done in tasks of its own."""

    @abstractmethod
    def expect(self, clients: Mapping[str, Collection[str]]) -> None:
        """From now on there are these clients, each with these flows, and no others."""

    @abstractmethod
    def passed(self, one: Pass) -> None:
        """A pass has ended."""

    @abstractmethod
    async def settle(self, seconds: float) -> None:
        """Wait for what is being done, but not longer than so long."""


class Passes:
    """Tells ``watchers`` of each pass. Without any it costs nothing. Raises nothing of its own."""

    def __init__(self, settings: Settings, watchers: Sequence[Watcher] = ()) -> None:
        self._watchers = watchers
        self._census = Census(settings.data_dead_letter_dir)
        self._ended: list[tuple[Pass, Session | None, str]] = []
        """Passes that are not told yet; without a session where there is no time to look at the client."""
        self._missed: set[str] = set()
        """Those that have had no pass yet."""

    @property
    def are_watched(self) -> bool:
        """Whether there is anybody to be told."""
        return bool(self._watchers)

    def expect(self, clients: Mapping[str, Collection[str]]) -> None:
        """From now on there are these clients, each with these flows; none: its settings are wrong."""
        self._missed = set(clients)
        for watcher in self._watchers:
            watcher.expect(clients)

    @asynccontextmanager
    async def one(
        self, session: Session, uri: str, reports: Sequence[Report], stop: asyncio.Event
    ) -> AsyncIterator[None]:
        """Inside of this one pass of the client is made, which fills ``reports``; what it logs says whose it is.

        Whatever stops it is raised on. One that ``stop`` has cut short is not whole. ``look`` tells the watchers of it.
        """
        self._missed.discard(session.client.name)
        name, began, started, before = session.client.name, datetime.now(UTC), time.monotonic(), _gave_way(session)
        error: Exception | None = None
        is_cancelled = False
        with whose(session):
            try:
                yield
            except Exception as raised:
                error = raised
                raise
            except BaseException:
                is_cancelled = True  # whoever is to end at once looks at nothing more
                raise
            finally:
                done = Pass(
                    client=name,
                    run=session.decisions.run,
                    began=began,
                    seconds=time.monotonic() - started,
                    reports=reports,
                    gave_way=dict(_gave_way(session) - before),
                    error=None if error is None else as_fatal(error),
                    is_whole=not (stop.is_set() or is_cancelled),
                )
                if self.are_watched:
                    self._ended.append((done, None if is_cancelled else session, uri))

    async def look(self, run: str) -> None:
        """Tell the watchers of the passes of this run that have ended, with what is seen of their clients now."""
        for ended in [ended for ended in self._ended if ended[0].run == run]:
            done, session, uri = ended
            try:
                if session is not None:
                    with whose(session):
                        done = await self._looked(done, session, uri)
            finally:
                self._ended.remove(ended)
                self._tell(done)

    def failed(self, client: str, error: Exception) -> None:
        """A client has no pass, because of ``error``: its settings are wrong, or there is no MongoDB to begin with."""
        self._tell(Pass(client=client, began=datetime.now(UTC), seconds=0, error=as_fatal(error)))

    def over(self, problems: Mapping[str, Sequence[str]], stopped: BaseException | None) -> None:
        """A run is over, outside of any event loop: tell of those that had no pass, and have all settled.

        They have ``problems``, or the run was stopped before them.
        """
        if not self.are_watched:
            return
        for name in sorted(self._missed):
            if name in problems:
                self.failed(name, WrongSettings(problems[name]))
            elif isinstance(stopped, Exception):
                self.failed(name, stopped)
        asyncio.run(self.settle(PATIENCE_SECONDS))

    async def settle(self, seconds: float) -> None:
        """Wait for what the watchers are doing, for so long; to be called at the end."""
        await asyncio.gather(*(watcher.settle(seconds) for watcher in self._watchers))

    def _tell(self, one: Pass) -> None:
        for watcher in self._watchers:
            try:
                watcher.passed(one)
            except Exception as error:  # whoever only looks on stops nothing
                logger.opt(exception=error).trace("not told")
                logger.warning("what became of {} could not be told ({})", one.client, type(error).__name__)

    async def _looked(self, one: Pass, session: Session, uri: str) -> Pass:
        """With what is seen of the client now; what cannot be seen is left out, and stops nothing."""
        letters, waiting, is_left_alone = None, None, None
        with _unseen("its dead letters"):
            letters = await in_thread(self._census.count, one.client)
        if not isinstance(one.error, TracosOutage):
            with _unseen("what waits to be told to it"):
                waiting = await session.waiting(uri)
        with _unseen("whether its system is left alone"):
            is_left_alone = session.client.is_left_alone
        return replace(one, letters=letters, waiting=waiting, is_left_alone=is_left_alone)


def whose(session: Session) -> AbstractContextManager[None]:
    """Inside of this whatever is logged says that it is of this client and run."""
    return logger.contextualize(client=session.client.name, run=session.decisions.run)


@contextmanager
def _unseen(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        why = str(error) if isinstance(error, Fatal) else type(error).__name__
        logger.warning("{} cannot be looked at: {}", what, why)


def _gave_way(session: Session) -> Counter[str]:
    """How many values of the client's orders have given way by now."""
    log = session.decisions
    return Counter(log.gave_way_of[session.client.name]) if isinstance(log, DecisionLog) else Counter()
