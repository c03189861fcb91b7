"""The keys of a table, as settings spell them; what reads them and what makes a schema of them go by these."""

from collections.abc import Collection, Mapping
from typing import Final

from pipeline.orders.workorder import Kind
from pipeline.translation.table import Told

__all__ = [
    "DELETED",
    "FORMS",
    "OF_FIELD",
    "OF_KIND",
    "OPTIONS",
    "OWN",
    "PLACES",
    "REQUIRED",
    "TABLES",
    "TOLD",
    "TOLD_OF_FIELD",
]

OPTIONS: Final[Mapping[str, Collection[str]]] = {
    "id": ("kind",),
    "reference": ("kind",),
    "created_at": ("format", "required", "told"),
    "updated_at": ("format", "told"),
    "title": ("max",),
    "description": ("max",),
    "status": ("words", "tell", "steps", "first", "form", "beside", "kind"),
    "deleted": ("when", "otherwise"),
    "deleted_at": ("format",),
}
"""What each key of a table may say beside ``at``."""

TABLES: Final = ("where", "fields", "constants")
REQUIRED: Final = ("id", "status")
TOLD: Final[Collection[Told]] = ("always", "create")
TOLD_OF_FIELD: Final[Collection[Told]] = ("always", "changed")
FORMS: Final = ("word", "set", "flags")
OF_FIELD: Final = ("kind", "told", "required")
OF_KIND: Final[Mapping[Kind, Collection[str]]] = {
    Kind.TEXT: ("max", "words", "tell"),
    Kind.NUMBER: ("decimal_comma",),
    Kind.FLAG: ("true", "false"),
    Kind.TIME: ("format",),
}
OWN: Final = {
    *("_id", "number", "title", "description", "status", "createdAt", "updatedAt", "deleted", "deletedAt"),
    *("isSynced", "syncedAt", "sync"),
}
"""Fields of a TracOS document that have a key of their own, or that nobody may write."""
DELETED: Final = "deleted"
PLACES: Final = {
    "id": "id",
    "reference": "reference",
    **dict.fromkeys(("title", "description"), Kind.TEXT),
    **dict.fromkeys(("created_at", "updated_at", "deleted_at"), Kind.TIME),
}
