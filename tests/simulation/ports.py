"""One run of the program as the world sees it: all that it does goes through here, and here things go wrong."""

import asyncio
import errno
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from pymongo.errors import AutoReconnect, NotPrimaryError

from pipeline.errors import Deferred, Rejected
from tests.simulation.clock import Clock, VirtualLoop
from tests.simulation.steps import Fault, Run

PAUSE = 45
"""Seconds for which a process that is paused does nothing: longer than a lease is had."""
SETTLED = 60
"""Turns of the loop after which all that is not waiting for a port has done what it can."""


class Killed(BaseException):
    """The process is gone: nothing of it reaches anything any more."""


class Ports:
    """What one run reaches the world through."""

    def __init__(self, clock: Clock, run: Run, edit: Callable, *, one_at_a_time: bool = False) -> None:
        self.run = run
        self.uses: Counter[str] = Counter()
        self.answer: Callable[[Any], Any] | None = None
        """What answers its requests, where it reaches the ERP over HTTP."""
        self.session: Callable[[Ports], Any] | None = None
        """What makes the session of a lane of it, which reaches the world through the ports that it is given."""
        self.opened: set[int] = set()
        """The files that it has open."""
        self._clock = clock
        self._edit = edit
        self._rng = random.Random(run.jitter)
        self._disk_rng = random.Random(run.jitter)
        self._is_dead = self._is_full = False
        self._awake_at = 0.0
        """When it is not paused any more, by the loop's time."""
        self._one_at_a_time = asyncio.Lock() if one_at_a_time else None
        """So that what is used after what does not depend on how long anything takes."""
        self._task: asyncio.Task[Any] | None = None
        self._steps_until_it_dies = next((one.nth for one in run.faults if one.port == "loop"), None)

    def enter(self) -> None:
        """From here on all that the current task does, and those that it begins, is done by this run."""
        self._task = asyncio.current_task()
        _PORTS.set(self)

    @asynccontextmanager
    async def using(self, port: str) -> AsyncIterator[set[str]]:
        """Around one use of a port; what goes wrong with it goes wrong before, or after, or is for the user to do."""
        if self._one_at_a_time is None:
            faults = await self._begin(port)
            yield {fault.what for fault in faults}
            self._end(faults)
            return
        async with self._one_at_a_time:
            faults = await self._begin(port)
            for _ in range(SETTLED):
                await asyncio.sleep(0)
            yield {fault.what for fault in faults}
            self._end(faults)

    def now(self, port: str) -> list[Fault]:
        """One more use of a port; what goes wrong with it."""
        self.see_alive()
        self.uses[port] += 1
        return [one for one in self.run.faults if one.port == port and one.nth == self.uses[port]]

    async def _begin(self, port: str) -> list[Fault]:
        for _ in range(self._rng.randrange(3)):
            await asyncio.sleep(0)
        faults = self.now(port)
        self._clock.tick(0.01)
        for fault in faults:
            match fault.what:
                case "edit":
                    with outside():
                        self._edit(fault.edit)
                case "kill before":
                    self._die()
                case "cancel":
                    self._task.cancel()
                    await asyncio.sleep(0)
                case "late":
                    await asyncio.sleep(fault.nth * 7)
                case "lost before":
                    raise _lost(port)
                case "not primary":
                    raise NotPrimaryError("not primary", {"code": 10107})
                case "refuse":
                    raise Rejected("the ERP does not take it")
                case "pause":
                    self._awake_at = asyncio.get_running_loop().time() + PAUSE
        await self._be_awake()
        return faults

    async def _be_awake(self) -> None:
        if (ahead := self._awake_at - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(ahead)
            self.see_alive()

    @property
    def moment(self) -> datetime:
        """What time it is for a server."""
        return self._clock.moment

    def _end(self, faults: list[Fault]) -> None:
        for fault in faults:
            if fault.what == "kill after":
                self._die()
            if fault.what == "lost after":
                raise _lost(fault.port)

    async def hop(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """The result of ``function``, as from a thread of the program's."""
        for _ in range(self._disk_rng.randrange(2)):
            await asyncio.sleep(0)
        await self._be_awake()
        self.see_alive()
        return function(*args, **kwargs)

    def system_call(self, name: str, call: Callable, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do a call that changes what is on the disk; or be killed, or find the disk full."""
        faults = {fault.what for fault in self.now("disk")}
        if "kill before" in faults:
            if name == "write":
                call(args[0], args[1][: len(args[1]) // 2])  # it is torn
            self._die()
        self._is_full |= "full" in faults
        if self._is_full and name in {"open", "write", "mkdir", "link", "fsync"}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = call(*args, **kwargs)
        if name == "open":
            self.opened.add(done)
        if "kill after" in faults:
            self._die()
        return done

    def step(self) -> None:
        """The loop takes a step: the one before which it is killed counts down."""
        if self._steps_until_it_dies is not None:
            self._steps_until_it_dies -= 1
            if not self._steps_until_it_dies:
                self.uses["loop"] += 1
                self._is_dead = True
                self._task.cancel()

    def see_alive(self) -> None:
        """Raise Killed once the process is gone."""
        if self._is_dead:
            raise Killed

    @property
    def is_dead(self) -> bool:
        """Whether the process is gone."""
        return self._is_dead

    def _die(self) -> None:
        self._is_dead = True
        raise Killed


_PORTS: ContextVar[Ports | None] = ContextVar("ports", default=None)


def current() -> Ports | None:
    """Of the run that is doing something now; None where that is the world itself."""
    return _PORTS.get()


@contextmanager
def outside() -> Iterator[None]:
    """Inside of this it is the world that does something, although a run waits for it."""
    before = _PORTS.set(None)
    try:
        yield
    finally:
        _PORTS.reset(before)


@contextmanager
def stepping(*runs: Ports) -> Iterator[None]:
    """Inside of this the steps of the loop are counted for these runs."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        yield
        return

    def step(_: int) -> None:
        for run in runs:
            run.step()

    loop.on_step = step
    try:
        yield
    finally:
        loop.on_step = None


def _lost(port: str) -> Exception:
    return AutoReconnect("connection closed") if port.startswith("tracos") else Deferred("no answer")
