"""How far a chain is, on a terminal: a bar, counts, rate and time left, drawn while it runs."""

import asyncio
import sys
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from pipeline.dataflow.messages import Batch
from pipeline.dataflow.ports import Source
from pipeline.dataflow.run import Report
from pipeline.dataflow.stage import Chain

__all__ = ["Display", "watched"]

EVERY_SECONDS: Final = 0.2


def watched(style: str) -> Callable[[Chain[Any], Report], AbstractContextManager[object]]:
    """What looks on while chains run: a display; nothing where the log is for machines, who read the same stream."""
    screen = _Screen()
    return partial(Display, screen) if style == "text" else lambda chain, report: nullcontext()


class _Screen:
    """Standard error, with a line for each chain that runs: it has room for one drawing at a time."""

    def __init__(self) -> None:
        self._bars: Progress | None = None

    def add(self, flow: str) -> tuple[Progress, TaskID]:
        """Begin a line."""
        if self._bars is None:
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[counts]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bars.start()
        return self._bars, self._bars.add_task(flow, total=None, counts="")

    def remove(self, task: TaskID) -> None:
        """End a line; the last one leaves nothing."""
        if self._bars is not None:
            self._bars.remove_task(task)
            if not self._bars.tasks:
                self._bars.stop()
                self._bars = None


class Display:
    """Draws while it is open, from within a running event loop; where standard error is no terminal it is silent."""

    def __init__(self, screen: _Screen, chain: AsyncIterable[Batch[Any]], report: Report) -> None:
        self._screen = screen
        self._source = chain.steps[0].end if isinstance(chain, Chain) else None
        self._report = report
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._drawing: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar, self._task = self._screen.add(self._report.flow)
            self._drawing = asyncio.get_running_loop().create_task(self._draw())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawing is not None:
            self._drawing.cancel()
        if self._task is not None:
            self._screen.remove(self._task)

    async def _draw(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._bar is not None and self._task is not None:
            done = self._source.progress() if isinstance(self._source, Source) else None
            rate = self._report.received / max(loop.time() - began, EVERY_SECONDS)
            dead = f" · {self._report.dead.total():,} dead" if self._report.dead else ""
            self._bar.update(
                self._task,
                completed=done.done if done else None,
                total=done.total if done else None,
                counts=f"{self._report.received:,} orders · {rate:,.0f}/s{dead}",
            )
            await asyncio.sleep(EVERY_SECONDS)
