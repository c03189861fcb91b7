"""How fast a client's API is asked, and when it is not asked any more."""

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pipeline.errors import Outage, See

__all__ = ["Breaker", "Pace", "breaker_of"]

FAILURES: Final = 3
"""Requests that failed one after the other, each tried as often as the settings say, before the circuit opens."""

COOL_SECONDS: Final = 30


class Pace:
    """A token bucket: at most ``rate`` requests a second, ``burst`` at once after a pause; None: without limit."""

    def __init__(self, rate: float | None, burst: int = 1, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 1 / rate if rate else 0.0
        self._ahead = self._gap * (burst - 1)
        self._clock = clock
        self._next = 0.0

    async def take(self) -> None:
        """Wait for a turn; those who wait are served in their order."""
        now = self._clock()
        turn = max(self._next, now - self._ahead)
        self._next = turn + self._gap
        if turn > now:
            await asyncio.sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Nobody gets a turn for so long: the server asked for it."""
        self._next = max(self._next, self._clock() + seconds)


class Breaker:
    """A circuit breaker: opens after failures in a row, lets one request try again after a while."""

    def __init__(self, host: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._clock = clock
        self._failures = 0
        self._closed_again = 0.0

    def enter(self) -> None:
        """Raise Outage while the circuit is open."""
        if self.is_open:
            raise Outage(
                f"{self._host} failed {self._failures} requests in a row and is left alone for a while: nothing is "
                "lost; see what ails it, then run again",
                see=See.API_AWAY,
            )

    @property
    def is_open(self) -> bool:
        """Whether the host is left alone now."""
        return self._failures >= FAILURES and self._clock() < self._closed_again

    def succeeded(self) -> None:
        """The host answers."""
        self._failures = 0

    def failed(self) -> None:
        """A request failed for good."""
        self._failures += 1
        self._closed_again = self._clock() + COOL_SECONDS


@lru_cache(maxsize=256)
def breaker_of(host: str) -> Breaker:
    """The one breaker of ``host`` (name and port), which all clients of this process share."""
    return Breaker(host)
