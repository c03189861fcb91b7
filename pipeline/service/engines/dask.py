"""Dask: ``dask://HOST:8786``, or ``dask+tls://HOST:8786``, is the scheduler of a cluster, whose workers run errands."""

import asyncio
import itertools
import logging
import time
import uuid
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import dask
from distributed import CancelledError, Client, KilledWorker, fire_and_forget
from msgspec import Struct

from pipeline.errors import Fatal, See
from pipeline.service.lanes import errand
from pipeline.service.lanes.engine import Engine, Lost

__all__ = ["DaskEngine", "connect"]

DEPTH: Final = 2
"""Errands that a thread of a worker is given: one is worked, and one lies ready."""
LEAST: Final = 8
"""Errands at once that make sense while nobody knows yet how many workers there will be."""
LOOK_SECONDS: Final = 1
"""How often it is seen which workers there are."""
CONNECT_SECONDS: Final = 30
PATIENCE_SECONDS: Final = 60
"""How long there may be no worker, and how long a worker or the scheduler may be silent."""


class _Parcel(Struct, frozen=True):
    """An errand on its way: it holds what connects to MongoDB, and logs may show what it looks like."""

    body: bytes

    def __repr__(self) -> str:
        return f"<{len(self.body)} bytes>"


class _Worker:
    """A process of the cluster."""

    def __init__(self, address: str, process: str, threads: int) -> None:
        self.address = address
        self.process = process
        """Another one where another process has the same address."""
        self.threads = threads
        self.errands = 0
        self.last_seen = 0.0
        self.silent_since = time.monotonic()
        self.gone = asyncio.Event()

    @property
    def load(self) -> float:
        """How many errands a thread has."""
        return self.errands / self.threads


class DaskEngine(Engine):
    """The workers of the cluster whose scheduler is at ``address``.

    An errand is sent to one worker, and nowhere else: so it is known who had it when a worker dies, and no errand is
    blamed for another's death. Which ones there are is looked at again and again: others may come and go.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None
        self._workers: dict[str, _Worker] = {}
        self._names = itertools.count()
        self._name = ""
        self._changed: asyncio.Condition
        self._looking: asyncio.Task[None] | None = None
        self._over: asyncio.Future[None]

    @property
    def title(self) -> str:
        """The scheduler's address."""
        return self._address

    async def open(self) -> None:
        """Find the scheduler; its workers may come later."""
        self._over, self._changed = asyncio.get_running_loop().create_future(), asyncio.Condition()
        self._name = f"workorder-sync-{uuid.uuid4().hex}"  # work under a name that was done once is not done again
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
            log = logging.getLogger(name)
            log.handlers.clear()
            log.setLevel(logging.CRITICAL + 1)  # what matters is told here
        try:
            with dask.config.set({"distributed.worker.profile.enabled": False}), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of versions: what matters is compared by the errands
                make: Any = Client  # it has no types
                self._client = await make(
                    self._address, asynchronous=True, set_as_default=False, timeout=CONNECT_SECONDS
                )
                await self._look()
        except (OSError, TimeoutError, ImportError, ValueError) as error:
            await self._closed()
            raise Fatal(
                f"no Dask scheduler answers at {self._address} ({type(error).__name__}): see ENGINE", see=See.WORKERS
            ) from error
        self._looking = asyncio.ensure_future(self._look_on())
        self.slots = max(LEAST, DEPTH * sum(worker.threads for worker in self._workers.values()))

    async def close(self) -> None:
        """Leave the cluster."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        if self._over.done():
            self._over.exception()  # whoever waited for it was told
        else:
            forget: Any = fire_and_forget  # it has no types
            for worker in self._workers.values():
                forget(self._submit(worker, errand.rest))
        await self._closed()

    async def submit(self, errand: bytes) -> bytes:
        """What a worker makes of it."""
        worker = await self._free()
        try:
            future = self._submit(worker, _run, _Parcel(errand))
            try:
                return await self._result(future, worker)
            finally:
                future.release()  # at once: what somebody keeps is made again when its worker goes
        finally:
            worker.errands -= 1
            async with self._changed:
                self._changed.notify_all()

    def _submit(self, worker: _Worker, function: Callable[..., Any], *arguments: Any) -> Any:
        """The future of a call in ``worker``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of errands that are large: they are as large as records are
            key = f"{self._name}-{next(self._names)}"
            return self._client.submit(function, *arguments, key=key, workers=[worker.address], pure=False)

    async def _result(self, future: Any, worker: _Worker) -> bytes:
        result: asyncio.Future[bytes] = asyncio.ensure_future(future.result())
        gone = asyncio.ensure_future(worker.gone.wait())
        try:
            waiting: list[asyncio.Future[Any]] = [result, gone, self._over]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self._over.done():
                self._over.result()
            if not result.done():
                raise Lost(f"worker {worker.address}")
            try:
                return result.result()
            except KilledWorker:
                raise Lost(f"worker {worker.address}") from None
            except CancelledError:
                raise self._gone() from None
            except ModuleNotFoundError as error:
                raise Fatal(
                    f"worker {worker.address} has no module {error.name}: install the same program on all workers",
                    see=See.WORKERS,
                ) from error
        finally:
            for one in (result, gone):
                one.cancel()
            await asyncio.gather(result, gone, return_exceptions=True)

    async def _free(self) -> _Worker:
        """The worker that has least to do; counted as having one errand more."""

        def least() -> _Worker | None:
            free = [worker for worker in self._workers.values() if worker.load < DEPTH]
            return min(free, key=lambda worker: worker.load, default=None)

        async with self._changed:
            await self._changed.wait_for(lambda: self._over.done() or least() is not None)
            if self._over.done():
                self._over.result()
            worker = least()
            assert worker is not None
            worker.errands += 1
            return worker

    async def _look_on(self) -> None:
        """See who is there, until the scheduler is gone, or nobody has been there for long."""
        since = time.monotonic()
        while not self._over.done():
            try:
                await asyncio.sleep(LOOK_SECONDS)
                await self._look()
            except Exception:
                self._over.set_exception(self._gone())
            else:
                now = time.monotonic()
                since = now if self._workers else since
                if now - since > PATIENCE_SECONDS:
                    why = (
                        f"no worker has been with the Dask scheduler at {self._address} for {PATIENCE_SECONDS} seconds"
                    )
                    self._over.set_exception(Fatal(f"{why}: start some, then run again", see=See.WORKERS))
            async with self._changed:
                self._changed.notify_all()

    async def _look(self) -> None:
        """See which workers there are; raises an error where the scheduler is gone."""
        identity = await asyncio.wait_for(self._client.scheduler.identity(), PATIENCE_SECONDS)
        known, self._workers = self._workers, {}
        for address, told in identity["workers"].items():
            process = told["local_directory"]
            worker = known.get(process) or _Worker(address, process, told["nthreads"])
            if told["status"] in {"running", "paused"} and not self._is_silent(worker, told):
                self._workers[process] = worker
        for process in known.keys() - self._workers.keys():
            known[process].gone.set()

    @staticmethod
    def _is_silent(worker: _Worker, told: Mapping[str, Any]) -> bool:
        """Whether it has said nothing for long, by our own clock: it may be frozen, and wake later."""
        if told["last_seen"] != worker.last_seen:
            worker.last_seen, worker.silent_since = told["last_seen"], time.monotonic()
        return time.monotonic() - worker.silent_since > PATIENCE_SECONDS

    def _gone(self) -> Fatal:
        return Fatal(
            f"the Dask scheduler at {self._address} is gone: nothing is lost, run again when it is back",
            see=See.WORKERS,
        )

    async def _closed(self) -> None:
        client, self._client = self._client, None
        self._workers = {}
        if client is not None:
            with suppress(Exception):
                await client.close()


def connect(url: str) -> DaskEngine:
    """The engine at ``dask://HOST:PORT`` or ``dask+tls://HOST:PORT``; certificates are told by Dask's own settings."""
    scheme, _, place = url.partition("://")
    return DaskEngine(f"{scheme.partition('+')[2] or 'tcp'}://{place}")


def _run(parcel: _Parcel) -> bytes:
    return errand.run(parcel.body)
