"""One lane as the run sees it: the process that it is just now, what it has in hand, and what becomes of both."""

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import Sequence
from typing import Final, Protocol

from loguru import logger

from pipeline.errors import Fatal, See
from pipeline.service.lanes.wire import (
    Allowed,
    Deal,
    Done,
    End,
    Failed,
    FromLane,
    Go,
    Hello,
    Over,
    Wire,
)

__all__ = ["Lane"]

DEATHS: Final = 3
"""So often in a row a lane's process may end without having done anything."""
PATIENCE_SECONDS: Final = 10
"""How long a process may take to end."""


class Run(Protocol):
    """What has lanes."""

    @property
    def hello(self) -> Hello:
        """What a lane is for."""

    def start(self, end: socket.socket) -> "subprocess.Popen[bytes]":
        """A process that is a lane, with this end of its wire."""

    async def heard(self, message: FromLane) -> Allowed | None:
        """A lane says so; returns the answer, where there is one."""

    def died(self, dealt: Sequence[Deal]) -> None:
        """A process has ended before it was told to; another begins with what it had in hand."""

    def fail(self, error: Fatal) -> None:
        """Something stopped a lane."""


class Lane:
    """One lane of ``run``; its length is the number of groups in hand."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._in_hand: dict[int, tuple[Deal, asyncio.Future[Done]]] = {}
        self._deaths = 0
        self._is_ending = False
        self._wire: Wire | None = None
        self._living = asyncio.ensure_future(self._live())

    def __len__(self) -> int:
        return len(self._in_hand)

    def has(self, number: int) -> bool:
        """Whether the group of this number is in hand."""
        return number in self._in_hand

    def let(self, number: int) -> None:
        """The group may be written."""
        if self._wire is not None:
            self._wire.say(Go(number))

    def deal(self, deal: Deal) -> asyncio.Future[Done]:
        """Have a group worked; what became of it, or the Fatal that stopped the lane."""
        done: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._in_hand[deal.number] = deal, done
        if self._wire is not None:  # else the process is told when it begins
            self._wire.say(deal)
        return done

    def give_up(self, error: Fatal) -> None:
        """Nothing of what is in hand will be done."""
        for _, done in self._in_hand.values():
            if not done.done():
                done.set_exception(error)
                done.exception()  # whoever waits for it may have gone

    async def end(self) -> None:
        """End the process: when it has done all, or, where something is in hand, at once."""
        self._is_ending = True
        if self._wire is not None:
            if self._in_hand:
                await self._wire.close()
            else:
                self._wire.say(End())
        await asyncio.wait([self._living])

    async def _live(self) -> None:
        """Have a process, and another one where it ends too early."""
        try:
            while not self._is_ending:
                self._deaths += 1
                status = await self._served()
                if status is None or self._is_ending:
                    return
                first = next((f", the first is {deal.places[0]}" for deal, _ in self._in_hand.values()), "")
                what = f"a lane ended by itself ({_how(status)}) with {len(self._in_hand)} groups in hand{first}"
                if self._deaths >= DEATHS:
                    self._run.fail(
                        Fatal(f"{what}, {DEATHS} times now; nothing is lost: run again with WORKERS=1", see=See.WORKERS)
                    )
                    return
                logger.warning("{}: another one takes them", what)
                self._run.died([deal for deal, _ in self._in_hand.values()])
        except Exception as error:
            logger.opt(exception=error).trace("stopped")
            self._run.fail(
                Fatal(f"the lanes were stopped by an unexpected {type(error).__name__}; run again", see=See.WORKERS)
            )

    async def _served(self) -> int | None:
        """Have one process, and hear it to its end; its exit status where it ended too early."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = self._run.start(theirs)
        wire = await Wire.over(ours)
        is_over = False
        try:
            wire.greet(self._run.hello)
            for deal, _ in self._in_hand.values():
                wire.say(deal)
            self._wire = wire
            if self._is_ending:
                wire.say(End())
            while (message := await wire.from_lane()) is not None:
                is_over = is_over or isinstance(message, Over | Failed)
                await self._heard(wire, message)
        finally:
            self._wire = None
            await wire.close()
            status = await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(_ended, process)))
        return None if is_over else status

    async def _heard(self, wire: Wire, message: FromLane) -> None:
        match message:
            case Failed(problem):
                self._run.fail(problem.error)
            case Done(number):
                self._deaths = 0
                _, done = self._in_hand.pop(number)
                await self._run.heard(message)
                if not done.done():
                    done.set_result(message)
            case _:
                answer = await self._run.heard(message)
                if answer is not None:
                    wire.say(answer)


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """The status of a process whose wire is cut, so that it ends by itself."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(PATIENCE_SECONDS)
    process.kill()
    return process.wait()


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit code {status}"
