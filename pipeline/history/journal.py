"""The journal of runs: JSON lines that say when each run began, and how it ended with what counts."""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from pipeline.dataflow.run import Report
from pipeline.disk import opened, read_lines
from pipeline.errors import Fatal, See
from pipeline.history.lines import read_told, readable
from pipeline.months import Months
from pipeline.orders.workorder import Moment

__all__ = ["FlowCounts", "Journal", "Run", "beat_seconds", "counts", "last_runs", "new_run", "read_runs", "recent_runs"]

CALLED: Final = "the journal"


RECENT_BYTES: Final = 4 * 1024 * 1024
"""How much of the journal is read for the newest runs, at most."""
LATE: Final = 3
"""A run that missed so many of its lines is under way no more."""


class FlowCounts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the items of one flow."""

    flow: str
    client: str
    read: int
    source: str = ""
    """Where it read: a folder, an address, a collection and its server."""
    sink: str = ""
    """Where it wrote."""
    outcomes: Mapping[str, int] = {}
    skipped: int = 0
    still_dead: int = 0
    closed: int = 0
    left: int = 0
    empty: int = 0
    """Files without any record."""
    spared: int = 0
    """Files left unread: unchanged since all of them was delivered."""
    dead: Mapping[str, int] = {}
    """New dead letters by stage."""
    done: int = 0
    """While it is under way: how much of its source is read, in the source's own unit."""
    total: int | None = None
    """Of how much, where that is known."""
    unit: str = ""
    """files, orders ..."""


class Run(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run; without ``ended`` it is under way still, or was killed."""

    run: str
    command: str
    began: Moment
    told: Moment | None = None
    """When this line was written, while it was under way."""
    ended: Moment | None = None
    ending: str = ""
    """finished, incomplete (some clients were stopped or left out), stopped or interrupted."""
    exit: int | None = None
    error: str | None = None
    """The one line that says why it stopped."""
    flows: tuple[FlowCounts, ...] = ()
    rules: Mapping[str, int] = {}
    """Decisions by the rule of the merge that made them, and ``sent``."""
    gave_way: Mapping[str, int] = {}
    """How many values gave way to the other side's, by the side that they were of (client, tracos)."""
    drift: Mapping[str, Sequence[str]] = {}
    """By client: which keys of its records are new, and which are gone, a line each."""
    befell: Mapping[str, str] = {}
    """Those clients that were not served to the end: stopped, or left out."""

    def is_under_way(self, now: datetime) -> bool:
        """Whether it is, as far as can be seen: it has not ended, and told of itself not long ago."""
        if self.ended is not None:
            return False
        last = self.told or self.began
        return now - last < timedelta(seconds=LATE * beat_seconds(last - self.began))


_RUNS: Final = msgspec.json.Decoder(Run)


def new_run(command: str) -> Run:
    """A run that begins now, under an id that sorts by time."""
    began = datetime.now(UTC).replace(microsecond=0)
    return Run(run=f"{began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}", command=command, began=began)


def beat_seconds(age: timedelta) -> float:
    """How long a run of this age waits until it tells of itself again: ever longer, so that lines stay few."""
    return max(5.0, age.total_seconds() / 100)


class Journal:
    """Appends to a file of JSON lines: a line when a run begins, some while it is under way, one when it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, run: Run) -> None:
        """Append ``run``; raises Fatal when that cannot be done."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            Months(self._path).append([_encoded(run)], durable=False)
        except OSError as error:
            raise Fatal(
                f"the journal {self._path} cannot be written ({error.strerror}); free the disk or set DATA_JOURNAL to "
                "a place that can be written, then run again",
                see=See.FILES,
            ) from error


def _encoded(run: Run) -> bytes:
    """The run's JSON; names of files and folders may hold bytes that no JSON can, which become escapes."""
    try:
        return msgspec.json.encode(run)
    except UnicodeEncodeError:
        return msgspec.json.encode(_valid(msgspec.to_builtins(run)))


def _valid(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode(errors="backslashreplace").decode()
    if isinstance(data, list | tuple):
        return [_valid(one) for one in data]
    return {_valid(key): _valid(value) for key, value in data.items()} if isinstance(data, dict) else data


def counts(reports: Sequence[Report], *, so_far: bool = False) -> tuple[FlowCounts, ...]:
    """What the journal keeps of reports; ``so_far``: they are being filled, and how far each has come is told too."""
    far = [report.progress() if so_far else None for report in reports]
    return tuple(
        FlowCounts(
            flow=report.flow,
            client=report.flow.rpartition(".")[0],
            read=report.received,
            source=report.source,
            sink=report.sink,
            outcomes=dict(report.outcomes),
            skipped=report.skipped,
            still_dead=report.held,
            closed=report.closed,
            left=report.deferred,
            empty=report.empty,
            spared=report.spared,
            dead=dict(report.dead),
            done=come.done if come else 0,
            total=come.total if come else None,
            unit=come.unit if come else "",
        )
        for report, come in zip(reports, far, strict=True)
    )


def read_runs(path: Path) -> Iterator[Run]:
    """All runs in the order in which they began, each as the last line about it says; raises what read_told raises."""
    runs = {run.run: run for run in read_told(path, CALLED, _RUNS.decode)}
    yield from runs.values()


def last_runs(path: Path, count: int) -> list[Run]:
    """The last ``count`` of them; no more months are read than it takes. Raises what read_told raises."""
    with readable(path, CALLED):
        months = Months(path).files()
    told: list[Run] = []
    for month in reversed(months):
        with readable(month, CALLED):
            told = [*read_lines(month, _RUNS.decode), *told]
        if len({run.run for run in told}) > count:  # one more: it may have begun in the month before
            break
    return list({run.run: run for run in told}.values())[-count:]


def recent_runs(path: Path, since: datetime, most: int | None = None) -> tuple[list[Run], bool]:
    """The runs that began at ``since`` or later, oldest first, and whether these are all; quick however many there are.

    No more than the newest ``most`` bytes of the journal are read, else 4 MB. Raises what read_told raises.
    """
    with readable(path, CALLED):
        months = Months(path).files(since)
    told, left = list[Run](), RECENT_BYTES if most is None else most
    for month in reversed(months):
        with readable(month, CALLED):
            lines = _tail(month, left)
        told = [*_understood(lines), *told]
        left -= sum(len(line) + 1 for line in lines)
        if left <= 0:
            break
    runs = {run.run: run for run in told}
    return [run for run in runs.values() if run.began >= since], left > 0


def _tail(path: Path, most: int) -> list[bytes]:
    """The last lines of a file, of ``most`` bytes, the first may be torn; there are none where it is missing."""
    with suppress(FileNotFoundError), opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - most))
        return file.read().split(b"\n")
    return []


def _understood(lines: Iterable[bytes]) -> Iterator[Run]:
    for line in lines:
        with suppress(ValueError, RecursionError):
            yield _RUNS.decode(line)
