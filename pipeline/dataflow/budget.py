"""The error budget: how much of what is read may become dead letters before a run stops."""

import re
from collections import Counter
from typing import Any, Final

from pipeline.dataflow.messages import Batch
from pipeline.errors import BudgetExceeded, See

__all__ = ["Budget"]

_LIMIT: Final = re.compile(r"([0-9]+)|([0-9]+(?:\.[0-9]+)?)\s*%")


class Budget:
    """Counts what a run reads and what fails of it, over all its flows.

    ``limit`` is a number of dead letters (``100``), or a percentage of what was read so far (``5%``), looked at after
    every batch; None: without limit. What was dead before and is held back does not count as failed. Raises ValueError
    for another text.
    """

    def __init__(self, limit: str | None = None) -> None:
        self._limit = limit
        self._number: int | None = None
        self._percent: float | None = None
        self._read = 0
        self._failed: Counter[str] = Counter()
        if limit is None:
            return
        match = _LIMIT.fullmatch(limit.strip())
        if match is None:
            raise ValueError("expected a number, or a percentage such as 5%")
        if match[1]:
            self._number = int(match[1])
        else:
            self._percent = float(match[2])
            if self._percent > 100:  # noqa: PLR2004 - per cent
                raise ValueError("expected at most 100%")

    def spend(self, batch: Batch[Any]) -> None:
        """Count a batch; raises BudgetExceeded when that was too much."""
        self._read += len(batch.received)
        self._failed.update(letter.stage for letter in batch.failed)
        failed = self._failed.total()
        if not self._exceeded(failed):
            return
        stages = ", ".join(f"{count:,} at {stage}" for stage, count in self._failed.most_common())
        first = batch.failed[0]
        raise BudgetExceeded(
            f"{failed:,} of {self._read:,} items read failed ({stages}), more than MAX_DEAD_LETTERS={self._limit} "
            f"allows: nothing of the batch in hand is acked or put aside; the first of it is {first.locator}: "
            f"{'; '.join(map(str, first.reasons))}; see what the sender changed, or raise the limit, then run again",
            see=See.TOO_MANY_LETTERS,
        )

    def _exceeded(self, failed: int) -> bool:
        if self._number is not None:
            return failed > self._number
        return self._percent is not None and failed * 100 > self._percent * self._read
