"""An errand: one group of records, with all that somebody on another machine needs to take it; and how that is done.

Whoever runs one cannot ask the run: it is told which orders the group is about, and which of them it may delete. Where
that is not so it writes nothing, and says so.
"""

import asyncio
import pickle
import platform
import socket
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger
from msgspec import Struct

from pipeline.clients.records.drift import Tally
from pipeline.disk import in_thread
from pipeline.errors import BudgetExceeded, Fatal, See
from pipeline.orders.workorder import ExternalId, id_key
from pipeline.service.lanes.taker import Taker, said
from pipeline.service.lanes.wire import Deal, Done, Hello, Problem, Said, built
from pipeline.service.telling import as_fatal
from pipeline.tracos.deletes import DeleteBudget
from pipeline.version import VERSION

__all__ = ["Answer", "Bench", "Errand", "packed", "rest", "run", "unpacked"]

PROGRAM: Final = f"version {VERSION} on Python {'.'.join(platform.python_version_tuple()[:2])}"


class Errand(Struct, frozen=True, array_like=True):
    """A group, and what it may do."""

    program: str
    """That of the run."""
    hello: bytes
    """Pickled: what the group is taken for."""
    needs: list[str]
    """Files that the run sees, and whoever runs this has to see too."""
    level: str
    """From which on lines are logged."""
    deal: Deal
    keys: list[ExternalId]
    """The orders that it is about."""
    permit: list[ExternalId]
    """The orders that it may delete."""


class Answer(Struct, frozen=True, array_like=True):
    """What became of an errand."""

    done: Done | None = None
    """None: there was a problem, or it is about other orders than it was said to be."""
    problem: Problem | None = None
    """What stopped it, and so stops the run."""
    asks: list[ExternalId] = []
    """These orders would be deleted, and may not yet."""
    tallies: dict[str, Tally] = {}
    said: list[Said] = []


_ENCODE: Final = msgspec.msgpack.Encoder().encode
_ERRAND: Final = msgspec.msgpack.Decoder(Errand)
_ANSWER: Final = msgspec.msgpack.Decoder(Answer, dec_hook=built)


def packed(
    hello: Hello, needs: Iterable[Path], deal: Deal, keys: Iterable[ExternalId], permit: Iterable[ExternalId]
) -> bytes:
    """An errand, to be sent."""
    return _ENCODE(
        Errand(
            program=PROGRAM,
            hello=pickle.dumps(hello),
            needs=[str(path) for path in needs],
            level=hello.settings.log_level,
            deal=deal,
            keys=list(keys),
            permit=list(permit),
        )
    )


def unpacked(answer: bytes) -> Answer:
    """The answer, as it came back."""
    return _ANSWER.decode(answer)


def run(errand: bytes) -> bytes:
    """Take the group of an errand, and answer; never raises.

    To be called in a thread that runs no event loop. The thread keeps the connection to TracOS for the next errand of
    the same run, until ``rest`` is called in it.
    """
    try:
        program = msgspec.msgpack.decode(errand)[0]
        if program != PROGRAM:
            raise Fatal(f"is of {PROGRAM}, the run of {program}: install the same everywhere", see=See.WORKERS)
        answer = _HERE.run(_ERRAND.decode(errand))
    except Exception as error:
        answer = _stopped(error, [])
    return _ENCODE(answer)


def rest() -> None:
    """Give up what this thread keeps: no more is to come of that run."""
    _HERE.rest()


def _stopped(error: Exception, lines: list[Said]) -> Answer:
    problem = Problem.of(as_fatal(error))
    told = Problem(problem.kind, f"worker {socket.gethostname()}: {problem.text}")
    return Answer(problem=told, said=lines)


class _Here(threading.local):
    """What this thread keeps from errand to errand."""

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._hello = b""
        self._bench: Bench | None = None

    def run(self, errand: Errand) -> Answer:
        """Run the errand; what is kept for another run is given up before, and after a failure all is."""
        if self._runner is None:
            self._runner = asyncio.Runner()
            with suppress(ValueError):
                logger.remove(0)  # what is logged is told to the run
        if self._hello != errand.hello:
            self._give_up(self._runner)
        self._hello, self._bench = errand.hello, self._bench or Bench()
        answer = self._runner.run(self._bench.run(errand))
        if answer.done is None or (answer.done.stop is not None and not answer.asks):
            self._give_up(self._runner)
        return answer

    def rest(self) -> None:
        """Give up all that is kept."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._give_up(runner)
            runner.close()

    def _give_up(self, runner: asyncio.Runner) -> None:
        bench, self._bench = self._bench, None
        if bench is not None:
            with suppress(Exception):
                runner.run(bench.close())


_HERE: Final = _Here()


class Bench:
    """Where the groups of one run are taken, one after the other, in one event loop."""

    def __init__(self) -> None:
        self._permit = _Permit()
        self._keys: frozenset[ExternalId] = frozenset()
        self._is_unlike = False
        self._taker: Taker | None = None

    async def run(self, errand: Errand) -> Answer:
        """Take a group; never raises."""
        lines: list[Said] = []
        # Others may log in this process meanwhile.
        with logger.contextualize(errand=id(lines)):
            handler = logger.add(
                lambda message: lines.append(said(message)),
                level=errand.level,
                format="{message}",
                filter=lambda record: record["extra"].get("errand") == id(lines),
                catch=False,
            )
            try:
                return await self._taken(errand, lines)
            except Exception as error:
                return Answer() if self._is_unlike else _stopped(error, lines)
            finally:
                logger.remove(handler)

    async def close(self) -> None:
        """Give the connection back."""
        if self._taker is not None:
            await self._taker.__aexit__(None, None, None)

    async def _taken(self, errand: Errand, lines: list[Said]) -> Answer:
        taker = self._taker or await self._opened(errand)
        self._permit.renew(errand.permit)
        self._keys = frozenset(errand.keys)
        [done] = [done async for done in taker.take(_alone(errand.deal))]
        return Answer(done=done, asks=self._permit.asks, tallies=taker.tallies(), said=lines)

    async def _opened(self, errand: Errand) -> Taker:
        await in_thread(_see, errand.needs)
        taker = Taker(pickle.loads(errand.hello), deletes=self._permit, may_write=self._may_write)  # noqa: S301 - from the run
        self._taker = await taker.__aenter__()
        return taker

    async def _may_write(self, number: int, keys: Sequence[ExternalId]) -> None:
        if not self._keys.issuperset(keys):
            self._is_unlike = True
            raise Fatal("the group is about other orders than it was said to be", see=See.WORKERS)


class _Permit(DeleteBudget):
    """The orders that one group may delete."""

    def __init__(self) -> None:
        super().__init__()
        self._given: frozenset[ExternalId] = frozenset()
        self.asks: list[ExternalId] = []
        """Those that it would have to delete, where these are not all of them."""

    def renew(self, given: Iterable[ExternalId]) -> None:
        """From here on it is about another group."""
        self._given, self.asks = frozenset(given), []

    async def spend(self, numbers: Iterable[ExternalId]) -> None:
        """Raises BudgetExceeded, before any of them is touched, where they may not all be deleted."""
        deleted = [id_key(number) for number in numbers]
        if not self._given.issuperset(deleted):
            self.asks = deleted
            raise BudgetExceeded("these have to be asked for", see=See.WORKERS)


def _see(needs: Iterable[str]) -> None:
    for path in needs:
        if not Path(path).exists():
            raise Fatal(
                f"{path} is not there, which the run has: share its folder, at the same path everywhere",
                see=See.WORKERS,
            )


async def _alone(deal: Deal) -> AsyncIterator[Deal]:
    yield deal
