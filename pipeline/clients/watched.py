"""A client whose records' keys are watched: what drifts is noted, and refused where that is wanted."""

from collections.abc import Callable
from typing import Any

from pipeline.clients.connector import Connector
from pipeline.clients.records.drift import Watch
from pipeline.clients.wrapped import WrappedClient
from pipeline.errors import Reason, Rejected

__all__ = ["WatchedClient"]

UNKNOWN = "a key that the layout does not name, and that was never there before: name it, or see on_unknown"


class WatchedClient(WrappedClient):
    """Another client; ``begin`` makes what watches, when the first record comes.

    With ``refuses`` a record with a key that nobody names, and that was never there before, is Rejected.
    """

    def __init__(self, client: Connector, begin: Callable[[], Watch], *, refuses: bool = False) -> None:
        super().__init__(client)
        self.watch: Watch | None = None
        self._begin = begin
        self._refuses = refuses

    def validate(self, data: Any) -> Any:
        """As the client; raises Rejected with the unknown keys too, where they are refused."""
        if type(data) is dict:
            if self.watch is None:
                self.watch = self._begin()
            try:
                unknown = self.watch.note(data, self._layout_of)
            except Exception:  # in which layout it is, nobody knows: the client says so
                unknown = ()
            if unknown and self._refuses:
                raise Rejected(*(Reason(UNKNOWN, path) for path in unknown), *self._reasons(data))
        return self.client.validate(data)

    def _layout_of(self, data: Any) -> str:
        return self.client.recognise(data).name

    def _reasons(self, data: Any) -> tuple[Reason, ...]:
        """What else is wrong with it."""
        try:
            checked = self.client.validate(data)
        except Rejected as error:
            return error.reasons
        except Exception:  # it is refused already
            return ()
        if hasattr(checked, "__await__") and hasattr(checked, "close"):
            checked.close()
        return ()
