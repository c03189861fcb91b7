"""What a client is handed: an order in its own words."""

from msgspec import Struct

__all__ = ["Outgoing"]


class Outgoing(Struct, frozen=True):
    """One order ready for the client: under the client's id as text, in the client's bytes."""

    id: str
    body: bytes
    is_new: bool = False
    """The client is not known to have it."""
    edit: int = 0
    """Tells two edits of an order apart that say the same; the same for one edit however often it is told."""
