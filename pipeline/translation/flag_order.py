"""The layout ``flag_order``: six flags of which exactly one is true; it knows no description.

Keys: ``orderNo``, ``creationDate`` and one of the flags required; ``summary``, ``lastUpdateDate``, ``deletedDate``
optional. An absent flag counts as false. A deleted order says nothing of its status; ``created`` and ``pending`` look
alike here.
"""

from typing import Final

from pipeline.orders.workorder import Status
from pipeline.translation.codecs import Id, Time
from pipeline.translation.engine import layout_of
from pipeline.translation.table import StatusAt, Table, at

__all__ = ["LAYOUT", "TABLE"]

TABLE: Final = Table(
    name="flag_order",
    id=at("orderNo", Id()),
    status=StatusAt(
        form="flags",
        words={
            "isActive": Status.IN_PROGRESS,
            "isCanceled": Status.CANCELLED,
            "isDone": Status.COMPLETED,
            "isOnHold": Status.ON_HOLD,
            "isPending": Status.PENDING,
        },
        deleted=("isDeleted",),
        tell={Status.CREATED: "isPending"},
    ),
    created_at=at("creationDate", Time(), required=True),
    updated_at=at("lastUpdateDate", Time()),
    title=at("summary"),
    deleted_at=at("deletedDate", Time()),
)

LAYOUT: Final = layout_of(TABLE)
