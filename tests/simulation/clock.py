"""Time in a history: a clock that only the history moves, and an event loop that lives by it."""

import asyncio
import selectors
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 10, 1, 8, tzinfo=UTC)


class Clock:
    """Stands for ``datetime`` where the program asks what time it is."""

    def __init__(self) -> None:
        self.moment = START

    def now(self, zone: Any = None) -> datetime:
        """This moment of the history."""
        return self.moment

    def time(self) -> float:
        """The same in seconds since 1970, as ``time.time`` tells it."""
        return self.moment.timestamp()

    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.moment += timedelta(seconds=seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which nobody waits: where all wait for a time, it is that time. It counts its steps.

    ``clock`` is moved with it. Raises RuntimeError where all wait, and for nothing that could come.
    """

    def __init__(self) -> None:
        super().__init__(_NoSockets())
        self.clock = Clock()
        self.steps = 0
        self.on_step: Callable[[int], None] | None = None
        """Called before each step, which is what one task does between two awaits, with the step's number."""
        self.set_exception_handler(_pass_over_the_dead)
        self._seconds = 0.0
        self._ready: deque[Any] = _Counted(self)  # the base class takes what is to be done next from here

    def time(self) -> float:
        """In seconds, from anywhere."""
        return self._seconds

    def _run_once(self) -> None:
        if not self._ready:
            if not self._scheduled and not self._stopping:
                raise RuntimeError("all wait, and for nothing that could come")
            if self._scheduled and (ahead := self._scheduled[0].when() - self._seconds) > 0:
                self._seconds += ahead
                self.clock.tick(ahead)
        super()._run_once()


class _NoSockets(selectors.DefaultSelector):
    """Nothing in a history comes over a socket, so that none is asked."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return []


class _Counted(deque[Any]):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def popleft(self) -> Any:
        loop = self._loop
        loop.steps += 1
        if loop.on_step is not None:
            loop.on_step(loop.steps)
        return super().popleft()


def _pass_over_the_dead(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What is raised in a process that is gone is told by nobody."""
    error = context.get("exception")
    if error is None or isinstance(error, Exception):
        loop.default_exception_handler(context)


def runner() -> asyncio.Runner:
    """What plays histories."""
    return asyncio.Runner(loop_factory=VirtualLoop)
