"""What a layout is: one client's JSON form of a work order, with the pure functions that read and write it."""

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any, Generic, TypeVar

from msgspec import Struct

from pipeline.orders.workorder import Record, Values

__all__ = ["Layout"]

R = TypeVar("R")


class Layout(Struct, Generic[R], frozen=True, kw_only=True):
    """A layout as data and functions; each module of this room has one, named LAYOUT."""

    name: str
    id_key: str
    """The key that holds the client's id, such as ``id`` or ``orderNo``."""
    keys: frozenset[str]
    """All keys the layout knows; others are ignored."""
    validate: Callable[[Mapping[str, Any], tzinfo], R]
    """JSON object -> checked record (times already aware UTC); zone-less times are in the given zone.

    Raises Rejected with ALL reasons, each with its JSON path.
    """
    to_record: Callable[[R], Record]
    """Checked record -> canonical; cannot fail."""
    to_json: Callable[[Record], bytes]
    """Canonical -> the client's JSON, whole and ending in a newline; raises Rejected for what it cannot say."""
    project: Callable[[Values], Values]
    """What the layout can say of values: its own word where it has one, None where it says nothing."""
