"""What a layout is: one client's JSON form of a work order, with the pure functions that read and write it."""

from collections.abc import Callable, Collection, Mapping
from datetime import tzinfo
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from pipeline.orders.workorder import Kind, Record, Values
from pipeline.translation.paths import Path, getter
from pipeline.translation.table import Table

__all__ = ["Layout", "wrapped"]

R = TypeVar("R")

DEPTH: Final = 3
"""How deep orders may be wrapped to be found."""


class Layout(Struct, Generic[R], frozen=True, kw_only=True):
    """A layout as data and functions; each module of this room has one, named LAYOUT."""

    name: str
    id_key: str
    """The key that holds the client's id, such as ``id`` or ``orderNo``; of a nested one, all on the way, with dots."""
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
    fields: Mapping[str, Kind] = {}
    """The fields that it has beyond title, description, status and deleted, by their names in a TracOS document."""
    has_reference: bool = False
    """Whether its records say our number too, beside the client's id."""
    id_path: Path = ()
    """The keys on the way to the id; empty: ``id_key`` alone."""
    paths: Collection[Path] = ()
    """All paths that the layout knows; empty: its keys."""
    where: Mapping[Path, tuple[Any, ...]] = {}
    """Only orders with one of these values at each path are the client's; others are skipped, and nobody is told."""
    code: str = ""
    """What tells it from others that are made of the same functions."""
    table: Table | None = None
    """What it is made from; None: written by hand."""

    def ids_in(self, data: Mapping[str, Any]) -> tuple[Any, ...]:
        """What an object has in the place of the id; empty where it has no such place."""
        path, key = self.id_path, self.id_key
        if len(path) < 2:  # noqa: PLR2004 - a key of the object itself, which is nearly always so
            return (data[key],) if key in data else ()
        around = getter(path[:-1])(data)
        return (around[path[-1]],) if isinstance(around, Mapping) and path[-1] in around else ()

    def is_ours(self, data: Mapping[str, Any]) -> bool:
        """Whether a JSON object may be an order of this client: nothing in it says that it is of others."""
        for path, values in self.where.items():
            said = getter(path)(data)
            if isinstance(said, str | int | float) and str(said) not in map(str, values):
                return False
        return True


def wrapped(data: Mapping[str, Any], layouts: Collection[Layout[Any]]) -> str | None:
    """The JSON path of the orders in an object that is none itself, such as ``$.items``; None where there are none.

    An order is an object with the id of one of ``layouts``, and more of its keys than are around it.
    """
    if any(layout.ids_in(data) for layout in layouts):
        return None
    return _find(data, data, layouts, "$", DEPTH)


def _find(
    data: Mapping[str, Any], around: Mapping[str, Any], layouts: Collection[Layout[Any]], path: str, depth: int
) -> str | None:
    for key, value in data.items():
        first = value[0] if isinstance(value, list) and value else value
        if not isinstance(first, dict):
            continue
        for layout in layouts:
            if layout.ids_in(first) and len(layout.keys & first.keys()) > len(layout.keys & around.keys()):
                return f"{path}.{key}"
        if depth > 1 and (found := _find(first, around, layouts, f"{path}.{key}", depth - 1)):
            return found
    return None
