"""How far a chain is, on a terminal: a bar, counts, rate and time left, drawn while it runs.

What is counted is what has left the chain, so that it is safe; rate and time left are of the last seconds, and are not
told before anything can be known of them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from pipeline.cli.start import is_drawn
from pipeline.dataflow.messages import Batch
from pipeline.dataflow.ports import Source
from pipeline.dataflow.run import Report
from pipeline.dataflow.stage import Chain

__all__ = ["Display", "Pace", "counts", "watched"]

EVERY_SECONDS: Final = 0.2
WINDOW_SECONDS: Final = 15
"""What was before tells nothing of now."""
EARLY_SECONDS: Final = 2
"""Before, nothing can be said of a pace."""
A_WHILE: Final = 90
"""Seconds; more is told in minutes."""
ROOMY: Final = 80
"""Columns of a terminal that has room for a bar."""
BAR: Final = 20


def watched(style: str, *, quiet: bool = False) -> Callable[[Chain[Any], Report], AbstractContextManager[object]]:
    """What looks on while chains run: a display; nothing where that is not wanted, or the log is for machines.

    They read the same stream.
    """
    screen = _Screen()
    return partial(Display, screen) if style == "text" and not quiet else lambda chain, report: nullcontext()


class Pace:
    """How quickly something goes on, by what was seen of it in the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int, float]] = deque()

    def see(self, now: float, items: int, part: float) -> None:
        """So many items, which are this part of all, were done at this moment, in seconds."""
        self._seen.append((now, items, part))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_SECONDS:  # noqa: PLR2004 - a beginning, an end
            self._seen.popleft()

    @property
    def rate(self) -> float | None:
        """Items a second; None while it is too early to say."""
        (begin, first, _), (end, last, _) = self._seen[0], self._seen[-1]
        return (last - first) / (end - begin) if end - begin >= EARLY_SECONDS else None

    @property
    def left(self) -> float | None:
        """Seconds until all is done, at the pace of now; None where that cannot be said."""
        (begin, _, first), (end, _, last) = self._seen[0], self._seen[-1]
        if end - begin < EARLY_SECONDS or not first < last <= 1:
            return None
        return (1 - last) * (end - begin) / (last - first)


def counts(report: Report, rate: float | None, left: float | None) -> str:
    """What is told beside the bar."""
    told = [f"{report.received:,} done"]
    told += [f"{report.dead.total():,} dead"] if report.dead else []
    told += [] if rate is None else [f"{rate:,.0f}/s"]
    told += [] if left is None else [f"{_duration(left)} left"]
    return " · ".join(told)


def _duration(seconds: float) -> str:
    """As exactly as it can be meant: 40 s, 3 min, 2 h 10 min."""
    minutes = round(seconds / 60)
    if seconds < A_WHILE:
        return f"{max(5 * round(seconds / 5), 1)} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004 - of an hour


class _Screen:
    """Standard error, with a line for each chain that runs: it has room for one drawing at a time."""

    def __init__(self) -> None:
        self._bars: Progress | None = None

    def add(self, flow: str) -> tuple[Progress, TaskID]:
        """Begin a line."""
        if self._bars is None:
            screen = Console(stderr=True)
            bar = [BarColumn(bar_width=BAR)] if screen.width >= ROOMY else []
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                *bar,
                TextColumn("{task.fields[counts]}"),
                console=screen,
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
        if is_drawn():
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
        loop, pace = asyncio.get_running_loop(), Pace()
        while self._bar is not None and self._task is not None:
            done = self._source.progress() if isinstance(self._source, Source) else None
            pace.see(loop.time(), self._report.received, done.done / done.total if done and done.total else 0)
            self._bar.update(
                self._task,
                completed=done.done if done else None,
                total=done.total if done else None,
                counts=counts(self._report, pace.rate, pace.left),
            )
            await asyncio.sleep(EVERY_SECONDS)
