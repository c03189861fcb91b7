"""One way to run something over the clients: a sync, a plan, a retry; and the sync itself.

How it ended is in the journal before anybody is shown anything; nothing is printed here.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from typing import ClassVar, Final, Literal, TypeVar

from loguru import logger
from msgspec import Struct
from msgspec.structs import replace

from pipeline.dataflow.messages import Outcome
from pipeline.dataflow.run import Report
from pipeline.disk import in_thread
from pipeline.errors import Fatal, Held, TracosOutage, WrongSettings, WrongUsage
from pipeline.history.journal import Journal, Run, beat_seconds, counts
from pipeline.service.keeping import tidy
from pipeline.service.passes import Passes, whose
from pipeline.service.session import Session, Sessions
from pipeline.service.telling import tell

__all__ = ["INTERRUPTED", "Ended", "Runner", "Work"]

T = TypeVar("T")

INTERRUPTED: Final = 130
PATIENCE_SECONDS: Final = 5
"""How long what is on its way may take once a run is asked to stop."""


class Work(ABC):
    """What is done with each client."""

    is_side_by_side: ClassVar[bool] = False
    """Whether it is done with several clients at once, else with one after the other."""
    clients: Collection[str] | None = None
    """Those that it is about. None: all that the settings have."""

    @abstractmethod
    async def serve(self, session: Session, uri: str, reports: list[Report], stop: asyncio.Event) -> None:
        """Do it with one client, MongoDB being at ``uri``; raises what stops this client, and no other.

        Each report is in ``reports`` before it is filled. Once ``stop`` is set no more is begun.
        """

    def exit_code(self, reports: Sequence[Report]) -> int:
        """Of one that nothing has stopped."""
        return 0


class Ended(Struct, frozen=True, kw_only=True):
    """How it ended: settled, and in the journal if it has one, before it is shown."""

    record: Run
    """As the journal keeps it."""
    exit: int
    reports: Mapping[str, Sequence[Report]]
    """By client."""
    befell: Mapping[str, str]
    """Those clients that were not served to the end: stopped, or left out."""
    seconds: float
    is_held: bool = False
    """Whether nothing was done because somebody else was at work."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing was done, and nothing is to be told."""
        reports = [report for of_one in self.reports.values() for report in of_one]
        known = {Outcome.REPEAT, Outcome.STALE}
        return not (
            self.exit or self.befell or self.record.drift or any(r.dead or r.outcomes.keys() - known for r in reports)
        )


class Runner:
    """Does a work with all clients, from the first line of the journal to the last.

    Where the work may be done so, with up to SERVE_PARALLEL of them side by side. What stops one client stops no
    other, but for MongoDB's own outage: no more are begun then. Without a ``journal`` nothing is written; with one it
    is told every now and then how far the run is.
    ``is_shared``: that somebody else is at work on these orders is no failure. ``passes`` is told of each client's.
    """

    def __init__(
        self,
        sessions: Sessions,
        work: Work,
        record: Run,
        journal: Journal | None = None,
        passes: Passes | None = None,
        *,
        is_shared: bool = False,
    ) -> None:
        self._is_shared = is_shared
        self._is_held = False
        self._work = work
        self._record = record
        self._journal = journal
        self._sessions = sessions
        self._passes = passes or Passes(sessions.settings)
        self._serve = [session for session in sessions if self._is_meant(session.client.name)]
        self._problems = {name: lines for name, lines in sessions.problems.items() if self._is_meant(name)}
        known = {session.client.name for session in self._serve} | self._problems.keys()
        self._unknown = sorted(set(work.clients or ()) - known)
        self._is_alone = len(self._serve) == 1 and not self._unknown
        self._reports: dict[str, list[Report]] = {}
        self._failed: dict[str, Fatal] = {}
        self._outage: TracosOutage | None = None
        self._stop = asyncio.Event()
        self._is_interrupted = False
        self._has_told = False
        """Whether the journal knows of it."""
        self._phase: Literal["starting", "entering", "running", "over"] = "starting"
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None] | None

    def to_the_end(self) -> Ended:
        """Do it; to be called in the main thread, outside of any event loop, because it may start a server.

        However it ends is returned; raised is only Fatal, where the journal cannot even be begun.
        """
        began, stopped = time.monotonic(), None
        self._begin()
        try:
            with self._sessions.mongo() if self._serve else nullcontext("") as uri:
                self._phase = "entering"
                asyncio.run(self._all(uri, is_last=True))
        except (Exception, KeyboardInterrupt) as error:
            stopped = error
        self._phase = "over"
        ended = self._end(stopped, began)
        self._passes.over(self._problems, stopped)
        if self._journal is not None:
            tidy(self._sessions.settings)
        return ended

    async def within(self, uri: str) -> Ended:
        """Do it in a loop that goes on, MongoDB being at ``uri``; in the journal only where something was done."""
        began, stopped = time.monotonic(), None
        try:
            await self._all(uri)
        except Exception as error:
            stopped = error
        ended = self._end(stopped, began, is_loud=False)
        await self._passes.look(self._record.run)
        return ended

    def stop(self) -> None:
        """Stop when what is on its way is done."""
        self._is_interrupted = True
        self._stop.set()

    def interrupt(self) -> None:
        """Stop when what is on its way is done; asked again, or after 5 seconds, at once.

        For signal handlers. Raises KeyboardInterrupt as long as nothing has been begun.
        """
        match self._phase:
            case "starting":
                raise KeyboardInterrupt
            case "entering":
                self._is_interrupted = True
            case "running":
                self._loop.call_soon_threadsafe(self._stop_soon)
            case "over":
                pass  # what is left is to record how it ended

    def _is_meant(self, name: str) -> bool:
        return self._work.clients is None or name in self._work.clients

    def _begin(self) -> None:
        self._passes.expect({one.client.name: one.flows for one in self._serve} | dict.fromkeys(self._problems, ()))
        if self._journal is not None:
            self._journal.write(self._record)
            self._has_told = True
        for problem in (line for lines in self._problems.values() for line in lines):
            logger.bind(event="left_out").error("wrong settings: {}; this client is left out", problem)
        for name in self._unknown:
            self._failed[name] = tell(WrongUsage("the settings have no such client"), who=name)

    async def _all(self, uri: str, *, is_last: bool = False) -> None:
        """All clients; with ``is_last`` they are looked at afterwards."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._phase = "running"
        room = asyncio.Semaphore(self._sessions.settings.serve_parallel if self._work.is_side_by_side else 1)
        telling = asyncio.ensure_future(self._tell_how_far())
        try:
            with suppress(asyncio.CancelledError):
                passes = (self._one(session, uri, room) for session in self._serve)
                told = await asyncio.gather(*passes, return_exceptions=True)  # so that all end, cancelled or not
                for error in (one for one in told if isinstance(one, Exception)):
                    raise error
            if self._outage is not None:
                raise self._outage
        finally:
            self._phase = "over"
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([telling])  # nothing of it comes behind the last line
                if is_last:
                    await self._passes.look(self._record.run)

    async def _tell_how_far(self) -> None:
        """Tell the journal how far the run is, while it is under way; where that fails its end is told still."""
        while self._journal is not None:
            await asyncio.sleep(beat_seconds(datetime.now(UTC) - self._record.began))
            reports = [report for of_one in self._reports.values() for report in of_one]
            flows = counts(reports, so_far=True)
            told = replace(self._record, told=datetime.now(UTC).replace(microsecond=0), flows=flows)
            with suppress(Fatal):
                self._has_told = True
                await in_thread(self._journal.write, told)

    async def _one(self, session: Session, uri: str, room: asyncio.Semaphore) -> None:
        """One client, once there is room, unless all is to end by then."""
        name = session.client.name
        async with room:
            if self._is_interrupted or self._outage is not None:
                return
            with nullcontext() if self._is_alone else logger.contextualize(several=True):
                try:
                    reports = self._reports.setdefault(name, [])
                    async with self._passes.one(session, uri, reports, self._stop):
                        await self._work.serve(session, uri, reports, self._stop)
                except TracosOutage as error:
                    self._outage = self._outage or error
                except Exception as error:
                    with whose(session):
                        self._note(name, error)

    def _note(self, name: str, error: Exception) -> None:
        """What stopped one client."""
        if self._is_shared and isinstance(error, Held):
            self._is_held = True
            logger.debug("{}: {}", name, error)
        else:
            self._failed[name] = tell(error, who="" if self._is_alone else name)

    def _stop_soon(self) -> None:
        if self._is_interrupted:
            self._cancel()
            return
        self._is_interrupted = True
        self._stop.set()
        logger.bind(event="interrupted").warning("stopping when what is on its way is done; once more to stop at once")
        self._loop.call_later(PATIENCE_SECONDS, self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end(self, stopped: BaseException | None, began: float, *, is_loud: bool = True) -> Ended:
        """Settle how it ended, and record it; only then is what stopped it told."""
        self._is_interrupted = self._is_interrupted or isinstance(stopped, KeyboardInterrupt)
        self._reports, self._failed = self._in_order(self._reports), self._in_order(self._failed)
        reports = [report for of_one in self._reports.values() for report in of_one]
        ending, code = self._ending(stopped, reports)
        befell = dict.fromkeys(self._failed, "stopped") | dict.fromkeys(self._problems, "left out")
        record = replace(
            self._record,
            ended=datetime.now(UTC).replace(microsecond=0),
            ending=ending,
            exit=code,
            error="; ".join(self._errors(stopped)) or None,
            flows=counts(reports),
            rules=dict(self._sessions.decisions.rules),
            gave_way=dict(+self._sessions.decisions.gave_way),
            drift={session.client.name: session.drift for session in self._serve if session.drift},
            befell=befell,
        )
        seconds = time.monotonic() - began
        ended = Ended(
            record=record, exit=code, reports=self._reports, befell=befell, seconds=seconds, is_held=self._is_held
        )
        try:
            if self._journal is not None and (is_loud or self._has_told or not ended.is_idle):
                self._journal.write(record)
        except Exception as error:  # whatever it is, how it ended is still known
            untold = tell(error)
            ended = replace(ended, exit=code or untold.exit_code)
        if isinstance(stopped, KeyboardInterrupt):
            logger.bind(event="interrupted").warning("interrupted")
        elif stopped is not None:
            tell(stopped)
        return ended

    def _ending(self, stopped: BaseException | None, reports: Sequence[Report]) -> tuple[str, int]:
        """How it ended, and the exit code; of several failures the code that they share, else 1."""
        if self._is_interrupted:
            return "interrupted", INTERRUPTED
        if stopped is not None:
            return "stopped", stopped.exit_code if isinstance(stopped, Fatal) else 1
        codes = {error.exit_code for error in self._failed.values()}
        if self._is_alone and codes:
            return "stopped", codes.pop()
        if self._problems:
            codes.add(WrongSettings.exit_code)
        if codes:
            return "incomplete", codes.pop() if len(codes) == 1 else 1
        return "finished", self._work.exit_code(reports)

    def _in_order(self, by_client: dict[str, T]) -> dict[str, T]:
        """By client, as the settings name them, whichever was done first; those that they do not have come first."""
        names = [session.client.name for session in self._serve]
        return dict(sorted(by_client.items(), key=lambda one: names.index(one[0]) if one[0] in names else -1))

    def _errors(self, stopped: BaseException | None) -> Iterator[str]:
        for lines in self._problems.values():
            yield from lines
        for name, error in self._failed.items():
            yield str(error) if self._is_alone else f"{name}: {error}"
        if isinstance(stopped, Fatal):
            yield str(stopped)
        elif isinstance(stopped, Exception):
            yield f"an unexpected {type(stopped).__name__}"
