"""Writes the tables of docs/settings.md, from the code that reads the settings: ``python -m docs.write_settings``."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import NODEFAULT
from msgspec.structs import FieldInfo, fields

from pipeline.clients.schema import docs_of
from pipeline.service.secrets import beside
from pipeline.service.settings import EXPECTED, SECRET, Settings

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs/settings.md"
TABLES: Final = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- end of settings -->)", re.DOTALL)

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "MongoDB": ("mongo_uri", "mongo_database", "mongo_collection", "mongo_retry_seconds", "mongod_bin"),
    "Clients": ("clients", "clients_file", "client_timezone", "client_layout"),
    "The client's files": (
        "data_inbound_dir",
        "data_outbound_dir",
        "inbound_after",
        "inbound_quiet_seconds",
        "durability",
    ),
    "Limits": ("sync_max_deletes", "max_dead_letters"),
    "What is kept": (
        "data_dead_letter_dir",
        "data_decision_log",
        "data_journal",
        "data_state_dir",
        "data_mongo_dir",
        "keep_days",
        "keep_mb",
        "letters_keep_days",
    ),
    "Running all day": ("serve_every", "serve_parallel", "serve_host", "serve_port", "lease_seconds"),
    "More cores, more machines": ("workers", "engine"),
    "Being told": ("log_level", "log_format", "metrics_file", "alert_url", "ping_url", "otel_exporter_otlp_endpoint"),
}
"""The order in which people look for them; each setting is in one group."""


def tables() -> str:
    """All groups, a table each; raises ValueError where a setting is in none, or in several."""
    known = {field.name: field for field in fields(Settings) if field.name != "secrets"}
    named = [name for group in GROUPS.values() for name in group]
    if sorted(named) != sorted(known):
        raise ValueError(f"GROUPS: each setting once: {sorted(set(known) ^ set(named)) or 'one is there twice'}")
    said = docs_of(Settings)
    parts = []
    for title, group in GROUPS.items():
        rows = [row for name in group for row in _rows(known[name], said[name])]
        parts.append("\n".join([f"\n## {title}\n", "| name | default | values | |", "|---|---|---|---|", *rows, ""]))
    return "".join(parts) + "\n"


def _rows(field: FieldInfo, says: str) -> Iterator[str]:
    name = field.name.upper()
    yield f"| `{name}` | {_default(field.default)} | {EXPECTED.get(field.name, '')} | {says} |"
    if field.name in SECRET:
        yield f"| `{beside(name)}` | not set | | The file that holds it instead. |"


def _default(value: Any) -> str:
    if value in {None, NODEFAULT, ()}:
        return "not set"
    return f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(TABLES.sub(lambda _: tables(), PAGE.read_text()))
