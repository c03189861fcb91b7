"""The decision log: one JSON line for each record whose value lost to another, or that came too late."""

from datetime import datetime

from msgspec import Struct

from pipeline.merge import Lost, Rule
from pipeline.workorder import ExternalId

__all__ = ["Entry"]


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision that kept a value out."""

    at: datetime
    client: str
    number: ExternalId
    locator: str
    rule: Rule
    version: datetime | None = None
    """The record's effective version."""
    lost: tuple[Lost, ...] = ()
