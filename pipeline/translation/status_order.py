"""The layout ``status_order``: one status word an order; deleted is what has a deletion date.

Keys: ``id``, ``status``, ``createdAt`` required; ``updatedAt``, ``title``, ``description``, ``deletedAt`` optional.
A deletion is a fact only if it can be one: not before 1970, not years ahead, and not before the order was created.
"""

from typing import Final

from pipeline.orders.workorder import Status
from pipeline.translation.codecs import Id, Time
from pipeline.translation.engine import layout_of
from pipeline.translation.table import StatusAt, Table, at

__all__ = ["LAYOUT", "TABLE"]

TABLE: Final = Table(
    name="status_order",
    id=at("id", Id()),
    status=StatusAt(
        path=("status",),
        words={
            "NEW": Status.CREATED,
            "PENDING": Status.PENDING,
            "IN_PROGRESS": Status.IN_PROGRESS,
            "ON_HOLD": Status.ON_HOLD,
            "DONE": Status.COMPLETED,
            "CANCELLED": Status.CANCELLED,
        },
    ),
    created_at=at("createdAt", Time(), required=True),
    updated_at=at("updatedAt", Time()),
    title=at("title"),
    description=at("description"),
    deleted_at=at("deletedAt", Time()),
)

LAYOUT: Final = layout_of(TABLE)
