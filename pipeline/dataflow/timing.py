"""How long each stage of a chain has worked: kept while ``timed`` is open, for whoever wants to see it afterwards."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from msgspec import Struct

__all__ = ["StageTime", "lap", "now", "timed"]


class StageTime(Struct):
    """When a stage worked, in nanoseconds since 1970."""

    began: int
    """When it began with its first batch."""
    ended: int
    """When it was done with its last one."""
    busy: int = 0
    """How long it worked; longer than from begin to end where several batches were under way at once."""
    batches: int = 0


_STAGES: ContextVar[dict[str, StageTime] | None] = ContextVar("stages", default=None)


@contextmanager
def timed(stages: dict[str, StageTime]) -> Iterator[None]:
    """Inside of this the stages of the chain that runs are timed in ``stages``, by name."""
    token = _STAGES.set(stages)
    try:
        yield
    finally:
        _STAGES.reset(token)


def now() -> int:
    """A moment that ``lap`` can be given."""
    return time.time_ns()


def lap(name: str, began: int) -> None:
    """The stage ``name`` has worked on a batch from ``began`` until now."""
    stages = _STAGES.get()
    if stages is None:
        return
    ended = max(began, now())  # clocks are set back
    one = stages.setdefault(name, StageTime(began, ended))
    one.ended = max(one.ended, ended)
    one.busy += ended - began
    one.batches += 1
