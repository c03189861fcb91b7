"""The ERP of a history, in memory: its records, and what it does when it is told of one."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tests.simulation.clock import Clock
from tests.simulation.steps import Setting
from tests.simulation.words import shown, token, word

REFERENCE = "ourNo"
FLAGS = ("isActive", "isCanceled", "isDone", "isOnHold", "isPending", "isDeleted")

FULL = {
    "id": "ref",
    "created_at": {"at": "opened", "required": False},
    "updated_at": "touched",
    "title": "text",
    "description": "memo",
    "deleted": {"at": "void", "when": True},
    "status": {
        "at": "state",
        "words": {
            "OPN": "created",
            "APP": "pending",
            "WIP": "in_progress",
            "HLD": "on_hold",
            "CLS": "completed",
            "CAN": "cancelled",
        },
    },
    "fields": {"asset": "asset"},
}
"""A table as settings spell it, with a field more."""


class Form(Struct, frozen=True):
    """How the ERP's people edit a record of a layout: by its keys."""

    id: str
    title: str
    created: str
    updated: str
    description: str | None = None
    more: str | None = None
    texts: tuple[str, ...] = ()
    spoils: tuple[tuple[str, Any], ...] = ()
    """What makes a record one that cannot be understood: a value of a key, or None where that is missing."""


FORMS = {
    "status_order": Form(
        *("id", "title", "createdAt", "updatedAt", "description", None, ("title", "description")),
        (("status", "GONE FISHING"), ("createdAt", None), ("createdAt", "31.31.2026"), ("title", 7), ("updatedAt", 5)),
    ),
    "flag_order": Form(
        *("orderNo", "summary", "creationDate", "lastUpdateDate", None, None, ("summary",)),
        (("isDone", "perhaps"), ("creationDate", None), ("creationDate", "soon"), ("summary", 7)),
    ),
    "full": Form(
        *("ref", "text", "opened", "touched", "memo", "asset", ("text", "memo")),
        (("state", "???"), ("opened", "yesterday"), ("text", ["a", "list"]), ("touched", "2026-13-01T00:00:00Z")),
    ),
}
MEANT = ("created", "pending", "in_progress", "on_hold", "completed", "cancelled")
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "status_order": dict(
        zip(("NEW", "PENDING", "IN_PROGRESS", "ON_HOLD", "DONE", "CANCELLED"), ((one,) for one in MEANT), strict=True)
    ),
    "flag_order": {
        "isActive": ("in_progress",),
        "isCanceled": ("cancelled",),
        "isDone": ("completed",),
        "isOnHold": ("on_hold",),
        "isPending": ("created", "pending"),
    },
    "full": dict(zip(("OPN", "APP", "WIP", "HLD", "CLS", "CAN"), ((one,) for one in MEANT), strict=True)),
}
"""By layout, its words of a status, and what each may mean."""


class Erp:
    """Keeps records by id, each with a counter of its changes."""

    def __init__(self, setting: Setting, clock: Clock) -> None:
        self.setting = setting
        self.form = FORMS[setting.layout]
        self.records: dict[str, dict[str, Any]] = {}
        self.etags: dict[str, int] = {}
        self.handed: set[str | None] = set()
        """Which titles it was ever told."""
        self.latest: dict[str, str] = {}
        """By order, the latest time that it ever showed: its people's edits are later."""
        self.told: set[str] = set()
        """The orders that it was ever told of."""
        self.overwritten: set[str | None] = set()
        """Which values it gave up for what it was told, and had not shown."""
        self.on_change: Callable[[str, bytes], None] = lambda order_id, raw: None
        """Told of each change."""
        self.clock = clock

    def put(self, order_id: str, record: Mapping[str, Any]) -> None:
        """A record changes, or is made."""
        self.records[order_id] = dict(record)
        self.etags[order_id] = self.etags.get(order_id, 0) + 1
        times = [record.get(key) for key in (self.form.updated, "deletedAt", "deletedDate")]
        self.latest[order_id] = max([self.latest.get(order_id, ""), *(one for one in times if is_time(one))])
        self.on_change(order_id, json.dumps(self.records[order_id]).encode())

    def time(self, before: str | None = None) -> str:
        """Now, by the ERP's own clock, and later than ``before``."""
        clock = Clock()
        clock.moment = self.clock.moment
        clock.tick(self.setting.skew)
        said = shown(clock.moment)
        if before is not None and is_time(before) and said <= before:
            clock.moment = clock.moment.fromisoformat(before.replace("Z", "+00:00"))
            clock.tick(1)
            said = shown(clock.moment)
        return said

    def take(self, body: Mapping[str, Any], order_id: str) -> str:
        """Do as it is told; returns the id that the order has."""
        record = dict(self.records.get(order_id, {}))
        told = {key: word(self.setting, text) if key in self.form.texts else text for key, text in body.items()}
        if self.setting.transport == "folders":  # it does not know what we have read
            self.overwrites(told, order_id)
        record |= told
        record = {key: value for key, value in record.items() if value is not None}
        record[self.form.id] = order_id
        if self.setting.stamps == "own" or (self.setting.is_asked_by_time and self.form.updated not in record):
            record[self.form.updated] = self.time(self.latest.get(order_id))
        self.put(order_id, record)
        self.told.add(order_id)
        return order_id

    def overwrites(self, told: Mapping[str, Any], order_id: str) -> None:
        """It is told of values without a word of what they were edited from: what it has is lost."""
        record = self.records.get(order_id, {})
        self.overwritten |= {token(record.get(key)) for key in told}

    def make(self, body: Mapping[str, Any]) -> str:
        """Make an order of its own number; returns that."""
        return self.take(body, f"E{len(self.records) + 1}")

    def by_reference(self, number: str) -> str | None:
        """The id of the order that our number stands in."""
        return next((one for one, record in self.records.items() if record.get(REFERENCE) == number), None)


def is_spoiled(form: Form, record: Mapping[str, Any]) -> bool:
    """Whether somebody has made a record one that cannot be understood."""
    return any(record.get(key) == value for key, value in form.spoils)


def is_time(said: Any) -> bool:
    """Whether it is a time as the ERP writes it."""
    return isinstance(said, str) and said.startswith("20") and said.endswith("Z") and "-13-" not in said
