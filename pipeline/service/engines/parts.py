"""Parts: ``parts:///FOLDER`` is a shared folder where a run lays its errands, and whoever runs ``work`` takes them."""

import asyncio
import itertools
import time
from pathlib import Path
from typing import Final

from pipeline.disk import in_thread
from pipeline.errors import Fatal, See, WrongSettings
from pipeline.service.lanes.engine import Engine, Lost
from pipeline.service.lanes.parts import PATIENCE_SECONDS, PartsOfRun

__all__ = ["PartsEngine", "connect"]

DEPTH: Final = 2
"""Errands for each worker: one is worked, and one lies ready."""
LEAST: Final = 16
"""Errands at once that make sense while nobody knows yet how many workers there will be."""
LOOK_SECONDS: Final = 0.05
"""How often it is seen what was answered."""
CARE_SECONDS: Final = 1
"""How often it is seen who is gone."""


class PartsEngine(Engine):
    """Whoever works at the folder ``directory``: they take what lies there, whatever has started them, and answer."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._parts = PartsOfRun(directory)
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._over: Fatal | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def title(self) -> str:
        """The folder."""
        return str(self._directory)

    async def open(self) -> None:
        """Make a place for this run; who works for it may come later."""
        await in_thread(self._parts.open)
        self.slots = max(LEAST, DEPTH * await in_thread(self._parts.workers))
        self._looking = asyncio.ensure_future(self._look_on())

    async def close(self) -> None:
        """Leave nothing there."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await in_thread(self._parts.close)

    async def submit(self, errand: bytes) -> bytes:
        """What somebody makes of it."""
        if self._over is not None:
            raise self._over
        number = next(self._numbers)
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await in_thread(self._parts.put, number, errand)
            return await answer
        except OSError as error:
            raise self._gone(error) from error
        except asyncio.CancelledError:
            await in_thread(self._parts.withdraw, number)
            raise
        finally:
            del self._waiting[number]

    async def _look_on(self) -> None:
        """See what was answered, and who is gone, until the folder is, or nobody has been there for long."""
        cared = seen = time.monotonic()
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                for number, body in (await in_thread(self._parts.answers)).items():
                    if number in self._waiting and not self._waiting[number].done():
                        self._waiting[number].set_result(body)
                now = time.monotonic()
                if now - cared < CARE_SECONDS:
                    continue
                cared = now
                for number, who in (await in_thread(self._parts.lost)).items():
                    if number in self._waiting and not self._waiting[number].done():
                        self._waiting[number].set_exception(Lost(f"worker {who}"))
                seen = now if await in_thread(self._parts.workers) else seen
                if now - seen > PATIENCE_SECONDS:
                    nobody = f"nobody has worked at {self._directory} for {PATIENCE_SECONDS} seconds"
                    self._end(Fatal(f"{nobody}: start `work {self._directory}`, then run again", see=See.WORKERS))
                    return
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._end(self._gone(error))

    def _end(self, error: Fatal) -> None:
        self._over = error
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)

    def _gone(self, error: Exception) -> Fatal:
        why = error.strerror if isinstance(error, OSError) else type(error).__name__
        return Fatal(
            f"the folder of parts {self._directory} cannot be used any more ({why}): nothing is lost, "
            "run again when it is back",
            see=See.WORKERS,
        )


def connect(url: str) -> PartsEngine:
    """The engine at ``parts:///FOLDER``; raises WrongSettings where that is no whole path."""
    directory = Path(url.partition("://")[2])
    if not directory.is_absolute():
        raise WrongSettings(["ENGINE: expected parts:///FOLDER, a whole path that is the same on all machines"])
    return PartsEngine(directory)
