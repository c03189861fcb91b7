"""The wire between a run and its lanes: messages, each one frame on a socket, and how what they say is built again."""

import asyncio
import contextlib
import pickle
import socket
from collections import Counter
from typing import Any, Final, Self, TypeAlias, cast

import msgspec
from msgspec import Struct

from pipeline import errors
from pipeline.clients.records.drift import Tally
from pipeline.dataflow.messages import Arrival
from pipeline.errors import Fatal, Reason, See, WrongSettings
from pipeline.orders.workorder import ExternalId
from pipeline.service.customers import Customer
from pipeline.service.settings import Settings

__all__ = [
    "Allowed",
    "Deal",
    "Done",
    "End",
    "Failed",
    "FromLane",
    "Go",
    "Hello",
    "Keys",
    "Over",
    "Problem",
    "Said",
    "Spend",
    "ToLane",
    "Wire",
    "built",
]


class Hello(Struct, frozen=True):
    """What a lane is for; the first message to it."""

    settings: Settings
    customer: Customer
    run: str
    flow: str
    """inbound: it takes records into TracOS; outbound: it hands orders to the client."""
    uri: str
    is_attended: bool
    """Whether proofs are wanted of what was delivered."""


class Problem(Struct, frozen=True, array_like=True):
    """A Fatal, by the name of its class."""

    kind: str
    text: str
    see: See | None = None

    @classmethod
    def of(cls, error: Fatal) -> "Problem":
        """The error, to be told."""
        return cls(type(error).__name__, str(error), error.see)

    @property
    def error(self) -> Fatal:
        """The error again; one that this program has no class of is a Fatal."""
        kind = getattr(errors, self.kind, Fatal)
        return WrongSettings([self.text]) if kind is WrongSettings else kind(self.text, see=self.see)


class Deal(Struct, frozen=True, tag="deal", array_like=True):
    """To a lane: work this group; by position what it holds."""

    number: int
    """Groups are numbered in the order in which they were read."""
    flow: str
    payloads: list[bytes]
    places: list[str]
    parts: list[str]
    arrivals: list[Arrival | None]


class Go(Struct, frozen=True, tag="go", array_like=True):
    """To a lane: the group of this number may be written."""

    number: int


class Allowed(Struct, frozen=True, tag="allowed", array_like=True):
    """To a lane: what it asked to delete it may, unless there is a problem."""

    problem: Problem | None


class End(Struct, frozen=True, tag="end", array_like=True):
    """To a lane: nothing more comes."""


class Keys(Struct, frozen=True, tag="keys", array_like=True):
    """From a lane: the group of this number is about these orders, and waits until it may be written."""

    number: int
    keys: list[ExternalId]


class Spend(Struct, frozen=True, tag="spend", array_like=True):
    """From a lane: these orders are about to be deleted."""

    numbers: list[ExternalId]


class Done(Struct, frozen=True, tag="done", array_like=True):
    """From a lane: what became of a group, by position, and what it adds to the run's counts."""

    number: int
    outcomes: dict[int, str]
    skipped: list[int]
    deferred: list[int]
    failed: list[tuple[int, str, tuple[Reason, ...]]]
    """Position, stage, reasons."""
    called: dict[int, ExternalId]
    gone: list[int]
    stop: Problem | None
    proofs: dict[int, bytes] = {}
    rules: dict[str, int] = {}
    gave_way: dict[str, int] = {}


class Said(Struct, frozen=True, tag="said", array_like=True):
    """From a lane: a line of the log; ``kind`` is the place in the code that it comes from, ``event`` what it is."""

    level: str
    kind: str
    event: str
    message: str


class Failed(Struct, frozen=True, tag="failed", array_like=True):
    """From a lane: it cannot go on."""

    problem: Problem


class Over(Struct, frozen=True, tag="over", array_like=True):
    """From a lane: it has done all; which keys its records had."""

    tallies: dict[str, Tally]


ToLane: TypeAlias = Deal | Go | Allowed | End
FromLane: TypeAlias = Keys | Spend | Done | Said | Failed | Over


def built(kind: Any, value: Any) -> Any:
    """What msgspec does not build by itself: a Counter of a Tally."""
    return Counter(value)


_ENCODE: Final = msgspec.msgpack.Encoder().encode
_TO_LANE: Final = msgspec.msgpack.Decoder(ToLane)
_FROM_LANE: Final = msgspec.msgpack.Decoder(FromLane, dec_hook=built)

HEAD: Final = 4
"""Bytes that say how long a frame is."""
ROOM: Final = 1024 * 1024
"""Bytes that are read ahead."""


class Wire:
    """One end of the wire, as a run and its lane each have one. What is said reaches the other end in that order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """The end that ``end`` is; closed with it."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=ROOM))

    def say(self, message: ToLane | FromLane) -> None:
        """Send a message; to one who is gone it says nothing."""
        self._send(_ENCODE(message))

    async def flushed(self) -> None:
        """Wait until not much is on its way any more."""
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    def greet(self, hello: Hello) -> None:
        """Send the first message to a lane."""
        self._send(pickle.dumps(hello))

    async def greeted(self) -> Hello | None:
        """The first message to a lane; None: the run is gone."""
        frame = await self._frame()
        return None if frame is None else cast("Hello", pickle.loads(frame))  # noqa: S301 - from the run that started us

    async def to_lane(self) -> ToLane | None:
        """What the run says next; None: it is gone."""
        frame = await self._frame()
        return None if frame is None else _TO_LANE.decode(frame)

    async def from_lane(self) -> FromLane | None:
        """What the lane says next; None: it is gone."""
        frame = await self._frame()
        return None if frame is None else _FROM_LANE.decode(frame)

    async def close(self) -> None:
        """Give the socket back."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def _send(self, frame: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(len(frame).to_bytes(HEAD))
            self._writer.write(frame)

    async def _frame(self) -> bytes | None:
        try:
            return await self._reader.readexactly(int.from_bytes(await self._reader.readexactly(HEAD)))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
