"""How far ahead of us a record may be dated, and what of it no document can take; pure but for the log."""

from datetime import datetime, timedelta
from typing import Final

from loguru import logger

from pipeline.dataflow.messages import Envelope
from pipeline.errors import Reason
from pipeline.orders.workorder import INT64, ExternalId, Record

__all__ = ["fault_of", "warn_of_future"]

FAR_AHEAD: Final = timedelta(days=1)
YEARS_AHEAD: Final = timedelta(days=366)
"""A time that is further ahead is nobody's edit: as a version it would keep out all edits until then."""


def fault_of(record: Record, at: datetime) -> Reason | None:
    """Why no document can take the record at this time, whatever it holds."""
    latest = at + YEARS_AHEAD
    if not _storable(record.external_id):
        return Reason("the order's id is no int64 and no UTF-8 text")
    updated, deleted = record.order.updated_at, record.order.deleted_at
    if (updated is not None and updated > latest) or (deleted is not None and deleted > latest):
        return Reason("its update or deletion is dated more than a year ahead: see what the sender means, or its clock")
    return None


def warn_of_future(item: Envelope[Record], at: datetime) -> None:
    """Log a warning where the record is dated so far ahead that later ones may look stale."""
    version = item.payload.order.version
    if version is not None and version - at > FAR_AHEAD:
        logger.warning(
            "order {} in {} is dated more than a day ahead: taken, but records dated earlier will look stale",
            item.payload.external_id,
            item.locator,
        )


def _storable(number: ExternalId) -> bool:
    return number in INT64 if isinstance(number, int) else number.encode(errors="ignore").decode() == number
