"""What CLIENTS_FILE may hold, as JSON Schema (draft 4): for editors of TOML, made from what reads it."""

from collections.abc import Mapping
from typing import Any, Final

from pipeline.clients.registry import Kind, kinds, options_of
from pipeline.clients.schema import Schema, closed, enum, options_schemas, table_schema, text
from pipeline.errors import WrongSettings
from pipeline.orders.terms import Authority
from pipeline.service.customers import CHOICES, EVERY, NAME, TABLES, TEXTS

__all__ = ["DRAFT", "schema_of_clients"]

DRAFT: Final = "http://json-schema.org/draft-04/schema#"

PATTERNS: Final[Mapping[str, str]] = {"every": rf"^{EVERY.pattern}$", "number": r"\{id\}"}
AS_A_FUNCTION: Final = ":"
"""In a kind that is no name, but ``package.module:function``."""


def schema_of_clients() -> tuple[Schema, list[str]]:
    """The schema; and a line for each kind of client whose options cannot be told, which may then be anything.

    Those are loaded that are installed: kinds of other packages too, where their module has OPTIONS.
    """
    untold: list[str] = []
    open_kinds, described = [], []
    for kind in kinds():
        try:
            options = options_of(kind)
        except WrongSettings as error:
            untold += error.problems
            options = None
        if options is None:
            open_kinds.append(kind)
        else:
            described.append((kind, options))
    options_of_kinds, definitions = options_schemas(options for _, options in described)
    entries = [_entry(kind, one) for (kind, _), one in zip(described, options_of_kinds, strict=True)]
    schema = closed(
        {
            "clients": _tables({"oneOf": [*entries, *_open(open_kinds)]}, rf"^{NAME.pattern}$") | {"minProperties": 1},
            "layouts": _tables(table_schema(), "."),
        },
        ["clients"],
    )
    return {"$schema": DRAFT, "title": "CLIENTS_FILE", **schema, "definitions": definitions}, untold


def _entry(kind: Kind, options: Schema) -> Schema:
    """Of an entry of this kind."""
    properties = {**options["properties"], **_common(), "kind": enum([kind.name], TEXTS["kind"])}
    return {"title": kind.name} | closed(properties, ["kind", *options.get("required", ())])


def _open(named: list[Kind]) -> list[Schema]:
    """Of an entry of a kind of which nothing is known but how it is named."""
    properties = {**_common(), "kind": text(TEXTS["kind"], AS_A_FUNCTION)}
    found = [{"type": "object", "properties": properties, "required": ["kind"]}]
    if named:
        names = enum(dict.fromkeys(kind.name for kind in named), TEXTS["kind"])
        found.append({"type": "object", "properties": {**_common(), "kind": names}, "required": ["kind"]})
    return found


def _common() -> dict[str, Any]:
    """Of the keys that every entry may have."""
    texts = {
        key: enum(CHOICES[key], says) if key in CHOICES else text(says, PATTERNS.get(key, r"\S"))
        for key, says in TEXTS.items()
    }
    who = {"type": "object", "additionalProperties": enum(Authority)}
    return texts | {key: who | {"description": says} for key, says in TABLES.items()}


def _tables(each: Schema, name: str) -> Schema:
    return {"type": "object", "patternProperties": {name: each}, "additionalProperties": False}
