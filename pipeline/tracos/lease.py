"""The lease on a client's orders: who may work on them now, whatever the process and the machine.

It is a document beside the collection of the orders, and its times are the server's. Whoever has it renews it; whoever
is killed loses it when its time is over, or at once where it can be seen that he is gone.
"""

import asyncio
import contextlib
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bson import Int64
from loguru import logger
from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import PyMongoError

from pipeline.dataflow.ports import Resource
from pipeline.errors import Held
from pipeline.tracos.connection import Connection

__all__ = ["Lease"]

LOOK_SECONDS: Final = 0.5
"""How often somebody who waits for it looks."""
PATIENCE_SECONDS: Final = 2
"""How long giving it back may take: a server that is away is not waited for."""
SAFE: Final = 0.9
"""The part of its time that we rely on without asking: clocks do not run alike."""

_CONCERN: Final = WriteConcern(w=1, j=True)
"""No majority is waited for: where none follows the primary, a run is told so by its first write of an order, and who
has the lease from a primary that nobody follows loses both."""


class Lease(Resource):
    """The lease on the orders behind ``connection``, for the run of this id; open, it is ours.

    Not renewed, it holds for ``seconds``. Where somebody else has it, it is waited for, ``wait`` seconds or until
    ``stop`` is set. Opening raises Held where it is not to be had, and what a Connection raises.
    """

    def __init__(
        self,
        connection: Connection,
        run: str,
        *,
        seconds: float = 30,
        wait: float = 0,
        stop: asyncio.Event | None = None,
    ) -> None:
        self._connection = connection
        self._run = run
        self._seconds = seconds
        self._wait = wait
        self._stop = stop or asyncio.Event()
        self._token = secrets.token_hex(8)
        self._good_until = 0.0
        self._fence = 0
        self._renewing: asyncio.Task[None] | None = None

    @property
    def fence(self) -> int:
        """Grows with each that had the lease."""
        return self._fence

    async def open(self) -> None:
        """Take the lease."""
        await self._connection.__aenter__()
        try:
            await self._take()
        except BaseException:
            await self._connection.__aexit__(None, None, None)
            raise
        self._renewing = asyncio.ensure_future(self._renew_in_time())

    async def close(self) -> None:
        """Give the lease back, if it is ours still; whoever cannot be told so waits until its time is over."""
        try:
            if self._renewing is not None:
                self._renewing.cancel()
                await asyncio.wait([self._renewing])
            with contextlib.suppress(PyMongoError, TimeoutError, asyncio.TimeoutError):
                query, ended = {"_id": "lease", "token": self._token}, [{"$set": {"until": "$$NOW"}}]
                await asyncio.wait_for(self._leases.update_one(query, ended), PATIENCE_SECONDS)
        finally:
            await self._connection.__aexit__(None, None, None)

    async def confirm(self) -> None:
        """See that the lease is ours still: to be called before anything leaves. Raises Held where it is not."""
        if _clock() >= self._good_until:
            await self._connection.ride_out(self._renew)

    async def _take(self) -> None:
        deadline = _clock() + self._wait
        is_told = False
        while (holder := await self._connection.ride_out(self._try)) is not None:
            if _clock() >= deadline or self._stop.is_set():
                raise Held(f"{_said(holder)}: nothing was done; run again then, or wait for it with --wait SECONDS")
            if not is_told:
                logger.info("{}: waiting for it", _said(holder))
                is_told = True
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    async def _try(self) -> Mapping[str, Any] | None:
        """Take it, if it is free; else who has it."""
        holder = await self._ask([self._token])
        if holder is not None and _is_gone(holder.get("holder")):
            holder = await self._ask([self._token, holder["token"]])
        return holder

    async def _ask(self, tokens: Sequence[str]) -> Mapping[str, Any] | None:
        """Take it from nobody, or from one of these; else who has it."""
        asked = _clock()
        ours = {"token": self._token, "holder": {**_ourselves(), "run": self._run}}
        is_over = {"$or": [{"$ne": [{"$type": "$until"}, "date"]}, {"$lte": ["$until", "$$NOW"]}]}
        free = {"$or": [is_over, {"$in": ["$token", list(tokens)]}]}
        fence = {"$convert": {"input": "$fence", "to": "long", "onError": Int64(0), "onNull": Int64(0)}}
        fields: dict[str, Any] = {
            **{name: {"$literal": value} for name, value in ours.items()},
            "since": "$$NOW",
            "until": self._until,
            "fence": {"$add": [fence, Int64(1)]},
        }
        stages = [
            {"$set": {"free": free}},
            {"$set": {name: {"$cond": ["$free", value, f"${name}"]} for name, value in fields.items()}},
            {"$unset": "free"},
        ]
        after: Mapping[str, Any] = await self._leases.find_one_and_update(
            {"_id": "lease"}, stages, upsert=True, return_document=ReturnDocument.AFTER
        )
        if after["token"] != self._token:
            return after
        self._good_until, self._fence = asked + self._seconds * SAFE, int(after["fence"])
        return None

    async def _renew(self) -> None:
        asked = _clock()
        query, renewed = {"_id": "lease", "token": self._token}, [{"$set": {"until": self._until}}]
        if (await self._leases.update_one(query, renewed)).matched_count == 0:
            now = await self._leases.find_one({"_id": "lease"})
            # One that is older than ours is what a restored database, or a rolled back primary, has of it.
            is_newer = now is not None and isinstance(now.get("fence"), int) and now["fence"] > self._fence
            what = f"was held up, and {_said(now)}" if is_newer else "has lost its lease: MongoDB knows nothing of it"
            raise Held(f"this run {what}; nothing more was written; the next run does what is left")
        self._good_until = asked + self._seconds * SAFE

    async def _renew_in_time(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / 3)
            try:
                await self._renew()
            except Held:
                self._good_until = 0.0
                return  # whoever is about to hand over is told
            except PyMongoError as error:
                logger.debug("the lease could not be renewed ({}): it is tried again", type(error).__name__)

    @property
    def _until(self) -> dict[str, Any]:
        return {"$add": ["$$NOW", int(self._seconds * 1000)]}

    @property
    def _leases(self) -> Any:
        orders = self._connection.collection
        return orders.database.get_collection(f"{orders.name}.sync", write_concern=_CONCERN)


def _said(lease: Mapping[str, Any]) -> str:
    """Who has the lease, and until when."""
    holder, until = lease.get("holder"), lease.get("until")
    holder = holder if isinstance(holder, Mapping) else {}
    who = f"run {holder.get('run', '?')} (process {holder.get('pid', '?')} on {holder.get('host', '?')})"
    when = f" until {until:%H:%M:%S} UTC, unless it renews its lease" if isinstance(until, datetime) else ""
    return f"{who} is working on these orders{when}"


def _ourselves() -> dict[str, Any]:
    """This process, as another one on the same machine finds it."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "started": _started(pid) or "", "place": _place()}


def _is_gone(holder: Any) -> bool:
    """Whether the process that has the lease was of this machine, and has ended."""
    if not isinstance(holder, Mapping) or holder.get("place") != _place() or not isinstance(holder.get("pid"), int):
        return False
    return _started(holder["pid"]) != holder.get("started")


def _place() -> str | None:
    """What processes that see each other have in common; None where that cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When the process was started, in the kernel's own count; None: there is none, or it has ended."""
    try:
        state, *fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return None
    return None if state in {"Z", "X"} else fields[18]


def _clock() -> float:
    """Seconds that go on while this process, or the machine, is held up."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
