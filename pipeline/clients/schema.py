"""What options and tables may look like, as JSON Schema: made from what reads them; draft 4, as TOML editors take it.

What it does not say, because a schema cannot: that two things exclude each other in some values only, that a status is
left without a word, that two fields lie in one place. Whoever reads the settings says it.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from pipeline.clients.table_keys import (
    DELETED,
    FORMS,
    OF_FIELD,
    OF_KIND,
    OPTIONS,
    OWN,
    PLACES,
    REQUIRED,
    TABLES,
    TOLD,
    TOLD_OF_FIELD,
)
from pipeline.orders.workorder import Kind, Status
from pipeline.translation.table import DeletedAt, StatusAt, Table

__all__ = ["Schema", "closed", "docs_of", "enum", "options_schemas", "table_schema", "text"]

Schema: TypeAlias = dict[str, Any]

DEFINITIONS: Final = "#/definitions/"
LEFT_OUT: Final = ("default", "title", "discriminator")
"""Keys of msgspec's schemas: a kind presets options, so that defaults would not be true; the others are no draft 4."""
ANY_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
PLAIN: Final[Schema] = {"type": ["string", "number", "boolean"]}
FLAG: Final[Schema] = {"type": "boolean"}
WORD: Final[Schema] = {"type": ["string", "integer", "boolean"]}
WORDS: Final[Schema] = {"type": "array", "items": {"type": "string"}}
PATH: Final[Schema] = {
    "description": "Where it is: keys joined by dots, or in a list where a key has a dot; of CSV, a column's head.",
    "anyOf": [ANY_TEXT, {"type": "array", "items": ANY_TEXT, "minItems": 1}],
}
SAYS: Final[Mapping[str, str]] = {
    "id": "The client's id of the order.",
    "created_at": "When the order was made; required in a record, unless required = false.",
    "updated_at": "When the order was changed last.",
    "status": "The state of the order, in the client's words.",
    "deleted": "A value that says that the order is deleted.",
    "fields": "Any other fields of the TracOS document, by their names there.",
    "kind": "What it is.",
    "format": "Of a time, as strftime has it; not set: RFC 3339.",
    "required": "Whether a record without it is a dead letter.",
    "told": "When the client is told: always, create (of a new order alone), changed (where it does not hold it yet).",
    "max": "Characters that the client keeps; a longer text is not told.",
    "decimal_comma": "Whether it is told as a text with a comma.",
    "true": "The client's word for true.",
    "false": "The client's word for false.",
    "when": "The value that says so.",
}

ID: Final[Mapping[str, Schema]] = {"kind": {"enum": [Kind.TEXT, Kind.NUMBER]}}
FIELD: Final[Mapping[str, Schema]] = {"told": {"enum": list(TOLD)}, "required": FLAG}
MEANINGS: Final[Schema] = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
OF: Final[Mapping[str, Mapping[str, Schema]]] = {
    "id": ID,
    "reference": ID,
    Kind.TEXT: {
        **FIELD,
        "max": {"type": "integer", "minimum": 1},
        "words": MEANINGS | {"description": "The client's words, each with the text that it means in TracOS."},
        "tell": {"type": "object", "additionalProperties": {"type": "string"}}
        | {"description": "A text of TracOS, and the client's word for it, if not the first that means it."},
    },
    Kind.NUMBER: {**FIELD, "decimal_comma": FLAG},
    Kind.FLAG: {**FIELD, "true": WORD, "false": WORD},
    Kind.TIME: {**FIELD, "format": {"type": "string"}},
}
"""What the options of a place may be, by what is there."""


def options_schemas(kinds: Iterable[type[Struct]]) -> tuple[list[Schema], dict[str, Schema]]:
    """Of each kind of options its schema, and what they refer to, by name, as definitions."""
    kinds = list(kinds)
    found, parts = msgspec.json.schema_components(kinds, schema_hook=_hook, ref_template=f"{DEFINITIONS}{{name}}")
    names = [one["$ref"].removeprefix(DEFINITIONS) for one in found]
    made = {name: _draft4(part) for name, part in parts.items()}
    schemas = []
    for kind, name in zip(kinds, names, strict=True):
        said = docs_of(kind)
        properties = made[name].get("properties", {})
        schemas.append(
            closed({key: _with(one, said.get(key)) for key, one in properties.items()}, made[name].get("required", ()))
        )
    return schemas, {name: part for name, part in made.items() if name not in names}


def table_schema() -> Schema:
    """Of a table of settings, which ``spelling`` reads."""
    parts: Schema = {key: _place(OPTIONS[key], OF[what]) for key, what in PLACES.items()}
    parts["status"] = _status()
    parts["deleted"] = _place(
        OPTIONS["deleted"], {"when": PLAIN, "otherwise": _with(PLAIN, docs_of(DeletedAt).get("otherwise"))}
    )
    of_tables: Schema = {
        "where": {
            "type": "object",
            "additionalProperties": {"anyOf": [PLAIN, {"type": "array", "items": PLAIN, "minItems": 1}]},
        },
        "fields": _fields(),
        "constants": {"type": "object", "additionalProperties": PLAIN},
    }
    parts |= {key: of_tables[key] for key in TABLES}
    said = {**docs_of(Table), **SAYS}
    table = closed({key: _with(part, said.get(key)) for key, part in parts.items()}, REQUIRED)
    return table | {"not": {"required": ["deleted", "deleted_at"]}}


def closed(properties: Mapping[str, Any], required: Iterable[str] = ()) -> Schema:
    """Of an object with these keys and no others."""
    needed = list(required)
    return {
        "type": "object",
        "properties": dict(properties),
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def enum(words: Iterable[str], says: str | None = None) -> Schema:
    """Of one of some words."""
    return _with({"enum": [str(word) for word in words]}, says)


def text(says: str | None = None, pattern: str = r"\S") -> Schema:
    """Of a text, which says something."""
    return _with({"type": "string", "pattern": pattern}, says)


def docs_of(kind: type[Struct]) -> dict[str, str]:
    """What the source of a class, and of its bases, says of its attributes, a docstring below each."""
    said: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        try:
            body = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
        except (OSError, TypeError, SyntaxError):  # not written in Python, or without its source
            continue
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for statement, following in pairwise(statements):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                doc = following.value if isinstance(following, ast.Expr) else None
                if isinstance(doc, ast.Constant) and isinstance(doc.value, str):
                    said[statement.target.id] = " ".join(doc.value.split()).replace("``", "`")
    return said


def _place(options: Iterable[str], known: Mapping[str, Schema]) -> Schema:
    """Of a path, or a table with it ``at`` and some ``options``."""
    table = {"at": PATH, **{key: _with(known[key], SAYS.get(key)) for key in options}}
    return {"anyOf": [*PATH["anyOf"], closed(table, ["at"])]}


def _status() -> Schema:
    said = docs_of(StatusAt)
    known: Mapping[str, Schema] = {
        "words": {"type": "object", "minProperties": 1, "additionalProperties": enum([*Status, DELETED])},
        "tell": {
            "type": "object",
            "properties": dict.fromkeys(Status, ANY_TEXT),
            "additionalProperties": False,
        },
        "steps": {"type": "object", "additionalProperties": WORDS},
        "first": WORDS,
        "form": enum(FORMS),
        "beside": PATH,
        "kind": enum([Kind.TEXT, Kind.NUMBER]),
    }
    parts = {"at": PATH, **{key: _with(known[key], said.get(key)) for key in OPTIONS["status"]}}
    flags = {**parts, "form": _with(enum(["flags"]), said.get("form"))}
    return {"anyOf": [closed(parts, ["at", "words"]), closed(flags, ["form", "words"])]}


def _fields() -> Schema:
    places: list[Schema] = [*PATH["anyOf"]]
    for kind in Kind:
        known = {**OF[kind], "told": enum(TOLD_OF_FIELD), "required": FLAG, "kind": enum([kind])}
        options = (*OF_FIELD, *OF_KIND[kind])
        table = {"at": PATH, **{key: _with(known[key], SAYS.get(key)) for key in options}}
        places.append(closed(table, ["at"] if kind is Kind.TEXT else ["at", "kind"]))
    name = rf"^(?!(?:{'|'.join(sorted(OWN))})$)[^$.][^.]*$"
    return {"type": "object", "patternProperties": {name: {"anyOf": places}}, "additionalProperties": False}


def _with(schema: Schema, says: str | None) -> Schema:
    return schema | {"description": says} if says else schema


def _hook(kind: type) -> Schema:
    """Of a type that msgspec does not know: what settings make of a text."""
    return text() if issubclass(kind, Path) else {}


def _draft4(said: Any) -> Any:
    """A schema of msgspec's, of draft 2020-12, in draft 4; TOML has no null."""
    if isinstance(said, list):
        return [_draft4(one) for one in said if one != {"type": "null"}]
    if not isinstance(said, dict):
        return said
    made = {key: _draft4(one) for key, one in said.items() if key not in LEFT_OUT}
    if "properties" in said:  # of which some may have such names
        made["properties"] = {name: _draft4(one) for name, one in said["properties"].items()}
    for bound, end in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if bound in made:
            made[end], made[bound] = made[bound], True
    if len(made.get("anyOf", ())) == 1:
        made |= made.pop("anyOf")[0]
    return made
