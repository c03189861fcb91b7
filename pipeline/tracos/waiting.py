"""How many orders wait to be told to the client, and since when the first of them does."""

from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from pipeline.tracos.connection import UNSYNCED, Connection
from pipeline.tracos.indexes import SIMPLE

__all__ = ["Waiting", "look_at_waiting"]

LOOKED_AT: Final = 10_000
"""Of so many of them it is seen since when they wait: those of the lowest ids, along the index."""


class Waiting(Struct, frozen=True):
    """The orders that the client has not been told of."""

    count: int
    since: datetime | None
    """When the first of them was edited, as far as that is known: since it was told last. None: none waits."""


async def look_at_waiting(connection: Connection) -> Waiting:
    """Count them; writes nothing. Raises what MongoDB raises, at once.

    An order waits since its last edit, but not longer than since it was told last: many who edit leave updatedAt alone.
    """
    found: Any = connection.collection.aggregate(
        [
            {"$match": UNSYNCED},
            {"$limit": LOOKED_AT},
            {"$project": {"_id": 0, "since": {"$max": [_edited(), _time("$syncedAt")]}}},
            {"$group": {"_id": None, "since": {"$min": "$since"}}},
        ],
        collation=SIMPLE,
    )
    oldest = [one["since"] async for one in found]
    count = await connection.count_unsynced() if oldest else 0
    since = oldest[0] if oldest else None
    return Waiting(count, since.replace(tzinfo=UTC) if isinstance(since, datetime) else None)


def _edited() -> dict[str, Any]:
    """When an order was edited last: what it says, else when it was made."""
    made = {"$ifNull": [_time("$createdAt"), _time("$_id")]}
    return {"$ifNull": [_time("$updatedAt"), made]}


def _time(field: str) -> dict[str, Any]:
    """The date in a field, which may be one, or a text; null for whatever else is there."""
    return {"$convert": {"input": field, "to": "date", "onError": None, "onNull": None}}
