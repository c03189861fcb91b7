"""The budget of deletions: how many live orders one run may turn into deleted ones, on either side."""

from collections.abc import Iterable

from pipeline.errors import BudgetExceeded, See
from pipeline.orders.workorder import ExternalId, id_key

__all__ = ["DeleteBudget"]


class DeleteBudget:
    """Counts the orders that a run turns from live to deleted, each once."""

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit
        self._deleted: set[ExternalId] = set()

    async def spend(self, numbers: Iterable[ExternalId]) -> None:
        """Count these orders; raises BudgetExceeded, before any of them is touched, when they are too many."""
        self._deleted.update(map(id_key, numbers))
        if len(self._deleted) > self.limit:
            raise BudgetExceeded(
                f"this run would delete more than {self.limit} work orders (SYNC_MAX_DELETES): the batch in hand was "
                "not written; see that so many are meant, then raise the limit and run again",
                see=See.TOO_MANY_DELETIONS,
            )
