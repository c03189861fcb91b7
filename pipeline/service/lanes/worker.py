"""A worker: takes the errands that runs lay into a folder of parts, one after the other, and answers each."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from loguru import logger

from pipeline.errors import Fatal, See
from pipeline.service.lanes import errand
from pipeline.service.lanes.parts import BEAT_SECONDS, WorkerAtParts

__all__ = ["Worker"]

SOON_SECONDS: Final = 0.05
"""How soon it looks again where there was nothing to do; the longer there is nothing, the later."""
LATER_SECONDS: Final = 1


class Worker:
    """One worker at ``directory``. To be used in a thread that runs no event loop.

    It ends when it is told to, or when there has been no run for ``idle`` seconds; what it has in hand is done before.
    """

    def __init__(self, directory: Path, idle: float | None = None) -> None:
        self._directory = directory
        self._idle = idle
        self._place = WorkerAtParts(directory)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End when what is in hand is done."""
        self._stopping.set()

    def work(self) -> int:
        """Take errands until the end; how many there were. Raises Fatal where the folder cannot be used."""
        self._place.open()
        ended = threading.Event()
        beating = threading.Thread(target=self._beat, args=[ended], daemon=True)
        beating.start()
        try:
            return self._worked()
        except OSError as error:
            raise Fatal(
                f"the folder of parts {self._directory} cannot be used any more ({error.strerror}): nothing is lost",
                see=See.WORKERS,
            ) from error
        finally:
            ended.set()
            beating.join()
            errand.rest()
            self._place.close()

    def _worked(self) -> int:
        count, last, pause = 0, time.monotonic(), SOON_SECONDS
        while not self._stopping.is_set():
            runs = self._place.runs()
            if runs:
                last = time.monotonic()
            else:
                errand.rest()
                if self._idle is not None and time.monotonic() - last >= self._idle:
                    break
            done = sum(self._all_of(run) for run in runs)
            count += done
            pause = SOON_SECONDS if done else min(2 * pause, LATER_SECONDS)
            if not done:
                self._stopping.wait(pause)
        return count

    def _all_of(self, run: Path) -> int:
        """Take what there is of one run; how many errands those were."""
        count = 0
        while not self._stopping.is_set() and (taken := self._place.take(run)) is not None:
            began = time.monotonic()
            self._place.answer(taken, errand.run(taken.body))
            count += 1
            logger.debug("{}: done in {:.2f} s", taken.path.name, time.monotonic() - began)
        return count

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # whoever waits for it sees that it is silent
                self._place.beat()
