"""What the page has somebody else do, and what it asks them: the program that serves it knows how."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from pipeline.deadletters import Filters
from pipeline.service.looking import Both
from pipeline.service.replay import Retried
from pipeline.service.serve import State

__all__ = ["Doors"]


class Doors(ABC):
    """What takes its time, or may start a server: done in processes of their own. All raise Fatal for what stops it."""

    @abstractmethod
    async def retry(self, which: str | Filters) -> Retried:
        """Retry the letter of this id, or all like these."""

    @abstractmethod
    async def restore(self, client: str, number: str, field: str) -> str:
        """Set the value of an order's field again that gave way last; what becomes of it then."""

    @abstractmethod
    async def look(self, number: str) -> Sequence[Both]:
        """What both sides hold of an order now."""

    @property
    @abstractmethod
    def uri(self) -> str:
        """Where MongoDB is, as far as it is running; empty: an embedded one, which only runs with a run."""

    @property
    @abstractmethod
    def states(self) -> Mapping[str, State] | None:
        """How each client of the service fares whose page this is; None: it is no service's."""
