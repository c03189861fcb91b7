"""What a client is handed: an order in its own words."""

from msgspec import Struct

from pipeline.orders.workorder import ExternalId, Intent

__all__ = ["Outgoing"]


class Outgoing(Struct, frozen=True):
    """One order ready for the client: under the client's id as text, in the client's bytes."""

    id: str
    body: bytes
    is_new: bool = False
    """The client is not known to have it."""
    edit: int = 0
    """Tells two edits of an order apart that say the same; the same for one edit however often it is told."""
    number: ExternalId | None = None
    """Of an order that the client numbers itself, and has not yet: ours, which stands in its record as ``reference``.

    ``id`` is then the same as a text, and no id of the client's.
    """
    intent: Intent | None = None
    """Of such an order: that the client may have been told of it already, under this key, and have made it."""
