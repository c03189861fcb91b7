"""The world of a history: its clock, its people, and the ports through which the program reaches the rest."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from pymongo.errors import AutoReconnect

from pipeline.errors import Deferred, Rejected
from tests.simulation.steps import Fault, Run, Setting

SETTLED = 60
"""Turns of the loop after which all that is not waiting for a port has done what it can."""

START = datetime(2026, 10, 1, 8, tzinfo=UTC)


class Wrong(Exception):
    """What must never be."""


class Killed(BaseException):
    """The process is gone: nothing of it reaches anything any more."""


class Clock:
    """Stands for ``datetime`` where the program asks what time it is."""

    def __init__(self) -> None:
        self.moment = START

    def now(self, zone=None) -> datetime:
        """This moment of the history."""
        return self.moment

    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.moment += timedelta(seconds=seconds)


class Ports:
    """What one run reaches the world through; here faults happen."""

    def __init__(self, clock: Clock, run: Run, edit: Callable, *, one_at_a_time: bool = False) -> None:
        self.run = run
        self.uses: Counter[str] = Counter()
        self._clock = clock
        self._edit = edit
        self._rng = random.Random(run.jitter)
        self._is_dead = False
        self._one_at_a_time = asyncio.Lock() if one_at_a_time else None
        """So that what is used after what does not depend on how long anything takes."""
        self._task = asyncio.current_task()

    @asynccontextmanager
    async def using(self, port: str) -> AsyncIterator[None]:
        """Around one use of a port; what goes wrong with it goes wrong before, or after."""
        if self._one_at_a_time is None:
            faults = await self._begin(port)
            yield
            self._end(faults)
            return
        async with self._one_at_a_time:
            faults = await self._begin(port)
            for _ in range(SETTLED):
                await asyncio.sleep(0)
            yield
            self._end(faults)

    async def _begin(self, port: str) -> list[Fault]:
        for _ in range(self._rng.randrange(3)):
            await asyncio.sleep(0)
        self.see_alive()
        self.uses[port] += 1
        self._clock.tick(0.01)
        faults = [one for one in self.run.faults if one.port == port and one.nth == self.uses[port]]
        for fault in faults:
            match fault.what:
                case "edit":
                    self._edit(fault.edit)
                case "kill before":
                    self._die()
                case "cancel":
                    self._task.cancel()
                    await asyncio.sleep(0)
                case "lost before":
                    raise _lost(port)
                case "refuse":
                    raise Rejected("the ERP does not take it")
        return faults

    def _end(self, faults: list[Fault]) -> None:
        for fault in faults:
            if fault.what == "kill after":
                self._die()
            if fault.what == "lost after":
                raise _lost(fault.port)

    def see_alive(self) -> None:
        """Raise Killed once the process is gone."""
        if self._is_dead:
            raise Killed

    def _die(self) -> None:
        self._is_dead = True
        raise Killed


def _lost(port: str) -> Exception:
    return AutoReconnect("connection closed") if port.startswith("tracos") else Deferred("no answer")


def word(setting: Setting, text: str) -> str:
    """What the ERP keeps of a text."""
    return {
        "same": lambda: text,
        "cut": lambda: text[:14],
        "upper": text.upper,
        "trim": lambda: " ".join(text.split()),
        "escape": lambda: text.replace("&", "&amp;"),
    }[setting.way]()


def token(text: str | None) -> str | None:
    """Which edit a text is of, however it is rendered."""
    return None if text is None else text.split()[0].casefold()
