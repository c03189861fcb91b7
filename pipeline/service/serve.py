"""The service: every client is looked at time and again, when its time has come or something wakes it, all day long."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from aiostream import streamcontext
from loguru import logger
from msgspec import Struct

from pipeline.disk import in_thread
from pipeline.errors import Fatal, WrongSettings
from pipeline.history.journal import Journal, new_run
from pipeline.service.customers import Customer, Customers, customers
from pipeline.service.keeping import tidy
from pipeline.service.passes import Passes, Watcher
from pipeline.service.run import Ended, Runner, Work
from pipeline.service.session import Sessions
from pipeline.service.settings import Settings
from pipeline.service.telling import tell
from pipeline.service.triggers import every, folder_changes, woken
from pipeline.tracos.changes import changes
from pipeline.tracos.probe import Probe

__all__ = ["Service", "State"]

LONGEST_PAUSE: Final = 900.0
"""Seconds after which a client that fails is tried again, at most."""
PATIENCE_SECONDS: Final = 8.0
"""How long passes may take to end, once the service is to end."""
SETTLE_SECONDS: Final = 1.5
"""How long alerts may take then."""
TIDY_SECONDS: Final = 3600.0
"""How often logs and closed letters are kept small."""
UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class State(Struct):
    """How a client fares."""

    every: float
    """Seconds between two passes."""
    began: datetime
    """When it was first to be looked at."""
    succeeded: datetime | None = None
    """When its last good pass ended."""
    failures: int = 0
    """Passes that failed since."""
    why: str = ""
    """What the last one said."""


class Service:
    """Serves the clients of the settings that ``load`` gives, until it is to stop.

    ``work`` makes what a pass does; ``after`` is told of each pass, by the client's name, once it has ended;
    ``watchers`` are told of it and of what is seen of the client then.
    """

    def __init__(
        self,
        settings: Settings,
        load: Callable[[], Settings],
        work: Callable[[Settings], Work],
        after: Callable[[str, Ended], Awaitable[None]] | None = None,
        watchers: Callable[[Settings], Sequence[Watcher]] = lambda settings: (),
    ) -> None:
        self._watchers = watchers
        self.passes = Passes(settings, watchers(settings))
        """Who is told of each pass."""
        self.settings = settings
        self._load = load
        self._work = work
        self._after = after
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._is_stopped = False
        self._room = asyncio.Semaphore(settings.serve_parallel)
        self._keepers: dict[str, _Keeper] = {}
        self.uri = ""
        """Where MongoDB is, once it is."""
        self._probe = Probe()
        self.states: dict[str, State] = {}
        """By client."""
        self.problems: dict[str, list[str]] = {}
        """Clients that are left out, and why."""

    def to_the_end(self, beside: Callable[[], Awaitable[None]] | None = None) -> None:
        """Serve until it is stopped; to be called in the main thread, outside of any event loop.

        ``beside`` runs meanwhile, and is cancelled at the end. Raises what keeps it from being begun.
        """
        with Sessions(self.settings).mongo(joins=False) as uri:  # it outlives whoever it would join
            self.uri = uri
            asyncio.run(self._serve(beside))

    def stop(self) -> None:
        """End when what is in hand is settled, or after 8 seconds. For signal handlers."""
        self._is_stopped = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def reload(self) -> None:
        """Read the settings again, between passes; where they are wrong, the old ones are kept. For signal handlers."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reload)

    async def unready(self) -> list[str]:
        """Why the service is not as it should be, a line each: MongoDB is away, clients are late or left out."""
        away = await self._probe.why_away(self.uri)
        return [*([away] if away else []), *self._late()]

    def _late(self) -> Iterator[str]:
        now = datetime.now(UTC)
        for name, state in self.states.items():
            late = (now - (state.succeeded or state.began)).total_seconds()
            if late > 3 * state.every:
                yield f"{name}: no good pass for {late:.0f} s{f' ({state.why})' if state.why else ''}"
        for lines in self.problems.values():
            yield from lines

    async def _serve(self, beside: Callable[[], Awaitable[None]] | None) -> None:
        self._loop = asyncio.get_running_loop()
        if self._is_stopped:
            return
        others = [asyncio.ensure_future(self._tidy())]
        if beside is not None:
            others.append(asyncio.ensure_future(beside()))
        self._begin(customers(self.settings))
        try:
            stopping = asyncio.ensure_future(self._stop.wait())
            done, _ = await asyncio.wait([stopping, *others], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            logger.info("stopping when what is on its way is done")
        finally:
            stopping.cancel()
            keepers = [keeper.retire() for keeper in self._keepers.values()]
            if keepers:
                await asyncio.wait(keepers, timeout=PATIENCE_SECONDS)
            for task in (*keepers, *others):
                task.cancel()
            await asyncio.gather(*keepers, *others, stopping, return_exceptions=True)
            await self.passes.settle(SETTLE_SECONDS)
            await self._probe.close()

    def _reload(self) -> None:
        try:
            settings = self._load()
            if bool(settings.mongo_uri) != bool(self.settings.mongo_uri):
                raise WrongSettings(["MONGO_URI: between an embedded MongoDB and another one the service is restarted"])
            found, watchers = customers(settings), self._watchers(settings)
        except Fatal as error:
            tell(error)
            logger.warning("the settings are kept as they were")
            return
        is_other = settings != self.settings
        if is_other:
            self.passes = Passes(settings, watchers)
        self.settings = settings
        self.uri = settings.mongo_uri or self.uri
        logger.info("the settings were read again: {}", ", ".join(found.named))
        self._begin(found, is_other=is_other)

    def _begin(self, found: Customers, *, is_other: bool = False) -> None:
        """Have each customer served as it is described now; those that have changed are begun anew."""
        self.problems = {name: list(lines) for name, lines in found.problems.items()}
        for problem in (line for lines in self.problems.values() for line in lines):
            logger.error("wrong settings: {}; this client is left out", problem)
        wanted = {name: one for name, one in found.named.items() if name not in found.problems}
        self.passes.expect({name: one.flows for name, one in wanted.items()} | dict.fromkeys(self.problems, ()))
        for name, lines in self.problems.items():
            self.passes.failed(name, WrongSettings(lines))
        for name in self._keepers.keys() - wanted.keys():
            self._keepers.pop(name).retire()
            self.states.pop(name, None)
        for name, customer in wanted.items():
            before = self._keepers.get(name)
            if before is None or before.customer != customer or is_other:
                seconds = _seconds(customer.every or self.settings.serve_every)
                self.states[name] = State(every=seconds, began=datetime.now(UTC))
                self._keepers[name] = _Keeper(self, customer, before.retire() if before is not None else None)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            await in_thread(tidy, self.settings)

    async def serve_once(self, customer: Customer, stop: Callable[[Runner], None]) -> Ended:
        """One pass of one client; ``stop`` is told what is to be stopped where the service is."""
        async with self._room:
            settings, record = self.settings, new_run("serve")
            sessions = Sessions(settings, run=record.run, found=Customers({customer.name: customer}))
            journal = Journal(settings.data_journal)
            runner = Runner(sessions, self._work(settings), record, journal, self.passes, is_shared=True)
            stop(runner)
            ended = await runner.within(self.uri)
        if self._after is not None:
            await self._after(customer.name, ended)
        return ended

    def triggers(self, customer: Customer) -> list[AsyncIterable[str]]:
        """What wakes a client."""
        sessions = Sessions(self.settings, found=Customers({customer.name: customer}))
        session = sessions.get(customer.name)
        wakes: list[AsyncIterable[str]] = [every(_seconds(customer.every or self.settings.serve_every))]
        if "inbound" in session.flows:
            wakes += [folder_changes(folder) for folder in session.client.watched]
        if "outbound" in session.flows:
            wakes.append(changes(session.connection(self.uri)))
        return wakes


class _Keeper:
    """Keeps one customer served, from when ``before`` has ended."""

    def __init__(self, service: Service, customer: Customer, before: asyncio.Task[None] | None) -> None:
        self.customer = customer
        self._service = service
        self._retired = asyncio.Event()
        self._runner: Runner | None = None
        self._task = asyncio.ensure_future(self._keep(before))

    def retire(self) -> "asyncio.Task[None]":
        """Serve it no more, once what is in hand is settled."""
        self._retired.set()
        if self._runner is not None:
            self._runner.stop()
        return self._task

    async def _keep(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        with logger.contextualize(client=self.customer.name, several=len(self._service.states) > 1):
            await self._serve()

    async def _serve(self) -> None:
        state = self._service.states[self.customer.name]
        while not self._retired.is_set():
            try:
                async with streamcontext(woken(self._service.triggers(self.customer))) as reasons:
                    while (reason := await self._next(reasons)) is not None:
                        logger.debug("{}: {}", self.customer.name, reason)
                        await self._pass(state)
                        await self._pause(state)
            except Exception as error:  # whatever it is, the client is served again
                self._fail(state, error)
                await self._pause(state)

    def _fail(self, state: State, error: Exception) -> None:
        fatal = tell(error, who=self.customer.name)
        self._service.passes.failed(self.customer.name, fatal)
        state.failures, state.why = state.failures + 1, str(fatal)

    async def _pause(self, state: State) -> None:
        """After a failure, the longer the more of them there were."""
        if state.failures and not self._retired.is_set():
            pause = min(state.every * 2 ** min(state.failures, 10), LONGEST_PAUSE)
            logger.info("{}: tried again in {:.0f} s", self.customer.name, pause)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._retired.wait(), pause)

    async def _next(self, reasons: AsyncIterable[str]) -> str | None:
        """The next reason to look; None where it is retired."""
        if self._retired.is_set():
            return None
        waiting = [asyncio.ensure_future(anext(aiter(reasons), None)), asyncio.ensure_future(self._retired.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            reason = waiting[0].result() if waiting[0].done() and not self._retired.is_set() else None
            return reason if isinstance(reason, str) else None
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _pass(self, state: State) -> None:
        def runs(runner: Runner) -> None:
            self._runner = runner
            if self._retired.is_set():
                runner.stop()

        try:
            ended = await self._service.serve_once(self.customer, runs)
        finally:
            self._runner = None
        if ended.exit == 0:
            state.failures, state.why, state.succeeded = 0, "", datetime.now(UTC)
        elif not ended.is_held and not self._retired.is_set():
            state.failures, state.why = state.failures + 1, ended.record.error or ended.record.ending


def _seconds(every: str) -> float:
    """An interval such as ``15m``."""
    return int(every[:-1]) * UNITS[every[-1]]
