"""The world of a history: its clock, its people, and the ports through which the program reaches the rest."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pymongo.errors import AutoReconnect

from pipeline.errors import Deferred, Rejected
from tests.simulation.steps import Fault, Run, Setting

T = TypeVar("T")

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

    def __init__(self, clock: Clock, run: Run, edit: Callable) -> None:
        self.run = run
        self.uses: Counter[str] = Counter()
        self.writes = 0
        """How often something outside was changed."""
        self._clock = clock
        self._edit = edit
        self._rng = random.Random(run.jitter)
        self._is_dead = False
        self._task = asyncio.current_task()

    async def use(self, port: str, effect: Callable[[], T] | None = None, is_write: bool = False) -> T:
        """Do ``effect``, unless a fault of the run says otherwise."""
        faults = await self.begin(port)
        result = effect() if effect else None
        await self.end(faults)
        return result

    async def begin(self, port: str) -> list[Fault]:
        """What goes wrong in this use, having done what goes wrong before it."""
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

    async def end(self, faults: list[Fault]) -> None:
        """Do what goes wrong after it."""
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
