"""Who the customers are: each an entry of CLIENTS_FILE, or the one that the environment describes."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from msgspec import Struct

from pipeline.clients.spelling import WrongTable
from pipeline.errors import WrongSettings
from pipeline.orders.terms import ID, Authority
from pipeline.service.places import Claim, claimed_collection, claimed_path, crossings
from pipeline.service.settings import Settings
from pipeline.service.toml_lines import line_of
from pipeline.tracos.address import wrong_names

__all__ = ["Customer", "Customers", "OnUnknown", "customers"]

OnUnknown: TypeAlias = Literal["ignore", "report", "dead_letter"]

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
EVERY: Final = re.compile(r"[1-9][0-9]*[smhd]")
DEFAULT: Final = "erp_json"
TEXTS: Final[Mapping[str, str]] = {
    "kind": "The kind of client, which says what the other keys may be; `clients list` names those that there are.",
    "timezone": "Of dates without a zone, such as America/Sao_Paulo; not set: CLIENT_TIMEZONE.",
    "layout": "Of orders born in TracOS; one of [layouts] is all that the client speaks. Not set: the kind's first.",
    "collection": "Where its orders are kept; each client has one of its own.",
    "database": "Where that collection is.",
    "every": "How often `serve` looks at it, such as 15m; not set: SERVE_EVERY.",
    "direction": "Which way orders go; not set: both.",
    "on_unknown": "What becomes of a key that no layout names, and that was never there before; not set: report.",
    "number": "What an order of the client's is called in TracOS, where the client numbers its orders itself.",
}
TABLES: Final[Mapping[str, str]] = {"authority": "Who has the say in a field where both sides edited it, by field."}
"""The keys that every entry may have, and what they say; all others are options of its kind."""
DIRECTIONS: Final[Mapping[str, Collection[str]]] = {
    "both": ("inbound", "outbound"),
    "inbound": ("inbound",),
    "outbound": ("outbound",),
}
"""By what an entry says: the flows that are run for the client."""
CHOICES: Final[Mapping[str, Collection[str]]] = {"direction": DIRECTIONS, "on_unknown": get_args(OnUnknown)}
"""The keys whose values are words of ours."""
PLACES: Final = ("_dir", "_file")
"""How the options are called that name a folder or a file."""


class Customer(Struct, frozen=True, kw_only=True):
    """One customer's system, as the settings describe it; nothing of it is made yet."""

    name: str
    kind: str
    timezone: ZoneInfo
    layout: str | None
    layouts: Mapping[str, Mapping[str, Any]] = {}
    """The tables that its ``layout`` may name, as the file spells them."""
    flows: Collection[str] = DIRECTIONS["both"]
    """Those that are run for it."""
    on_unknown: OnUnknown = "report"
    """What becomes of a key of its records that no layout names, and that was never there before."""
    number: str = "{id}"
    """What an order of its own is called in TracOS, where it numbers its orders itself."""
    authority: Mapping[str, Authority] = {}
    """Who has the say, by field."""
    database: str
    collection: str
    every: str | None = None
    """How often it is looked at (``15m``)."""
    options: Mapping[str, Any] = {}
    defaults: Mapping[str, Any] = {}
    variables: Mapping[str, str] = {}
    """The environment variables that an option comes from."""
    said: Collection[str] = ()
    """Those of ``defaults`` that somebody has said: a kind that does not use one is told."""
    where: str = ""
    """The file that describes it; empty: the environment."""


class Customers(Struct, frozen=True):
    """All that the settings describe, and what is wrong with some of them."""

    named: Mapping[str, Customer]
    """By name; those with problems too, as far as they can be understood: there may be more wrong with them."""
    problems: Mapping[str, Sequence[str]] = {}
    """By name, a line each with file, line and key."""

    def __contains__(self, name: str) -> bool:
        return name in self.named or name in self.problems


def customers(settings: Settings) -> Customers:
    """The customers that the settings name.

    One that is described wrongly keeps nobody else from being served. Raises WrongSettings for a file that cannot be
    read, or describes nobody.
    """
    if settings.clients_file is None:
        one = _of_environment(settings)
        return Customers({one.name: one})
    return _of_file(settings.clients_file, settings)


def located(customer: Customer, problem: str) -> str:
    """A problem that a client tells of its own settings (``name: key: ...``), with file and line."""
    parts = problem.split(": ", 2)
    key = parts[1] if len(parts) > 1 and parts[0] == customer.name else ""
    return _at(customer, problem, "clients", customer.name, *key.split("."))


def located_mistakes(customer: Customer, error: WrongTable) -> list[str]:
    """What is wrong with a table that a client speaks, each with file and line."""
    return [
        _at(customer, f"layouts.{error.name}.{mistake}", "layouts", error.name, *mistake.key)
        for mistake in error.mistakes
    ]


def _at(customer: Customer, problem: str, *path: str) -> str:
    if not customer.where:
        return problem
    try:
        line = line_of(Path(customer.where).read_text(encoding="utf-8-sig"), *path)
    except (OSError, UnicodeDecodeError):
        return problem
    return f"{customer.where}:{line}: {problem}"


def _of_environment(settings: Settings) -> Customer:
    name = next(iter(settings.clients), DEFAULT)
    variables = {
        "inbound_dir": "DATA_INBOUND_DIR",
        "outbound_dir": "DATA_OUTBOUND_DIR",
        "inbound_after": "INBOUND_AFTER",
        "quiet_seconds": "INBOUND_QUIET_SECONDS",
        "durability": "DURABILITY",
    }
    return Customer(
        name=name,
        kind=name,
        timezone=settings.client_timezone,
        layout=settings.client_layout,
        database=settings.database,
        collection=settings.mongo_collection,
        defaults={option: getattr(settings, variable.lower()) for option, variable in variables.items()},
        variables={"layout": "CLIENT_LAYOUT", **variables},
        said=[option for option, variable in variables.items() if variable.lower() in settings.secrets.said],
    )


def _of_file(path: Path, settings: Settings) -> Customers:
    try:
        text = path.read_text(encoding="utf-8-sig")
        tables = tomllib.loads(text)
    except OSError as error:
        raise WrongSettings([f"CLIENTS_FILE: {path} cannot be read: {error.strerror}"]) from error
    except ValueError as error:  # no UTF-8, no TOML, or a number of more digits than Python takes
        raise WrongSettings([f"CLIENTS_FILE: {path} is no TOML: {error}"]) from error
    entries, layouts = tables.pop("clients", None), tables.pop("layouts", {})
    strangers = {name: [f"{path}:{line_of(text, name)}: {name}: {_stranger(name)}"] for name in tables}
    if not isinstance(layouts, dict) or not all(isinstance(layout, dict) for layout in layouts.values()):
        strangers["layouts"] = [f"{path}:{line_of(text, 'layouts')}: layouts: expected tables [layouts.NAME]"]
        layouts = {}
    if not isinstance(entries, dict) or not entries:
        nobody = f"CLIENTS_FILE: {path} describes no client: expected [clients.NAME] tables"
        raise WrongSettings([nobody, *(line for lines in strangers.values() for line in lines)])
    named: dict[str, Customer] = {}
    wrong = {name: _wrong(name, entry) for name, entry in entries.items()}
    for name, entry in entries.items():
        keys = {key for key, _ in wrong[name]}
        if isinstance(entry, dict) and "kind" not in keys:
            fit = {key: value for key, value in entry.items() if key not in keys}
            one = named[name] = _customer(name, fit, settings, str(path), layouts)
            wrong[name] += [(what.split()[1], what) for what in wrong_names(one.database, one.collection)]
    claims = [claim for one in named.values() if not wrong[one.name] for claim in _claims(one)]
    for claim, what in crossings([*settings.claims(), *claims]):
        if claim.owner:
            wrong[claim.owner].append((claim.setting, f"{what}: each needs a place of its own"))
    unknown = sorted(set(settings.clients) - entries.keys())
    if unknown:
        known = ", ".join(entries)
        raise WrongSettings([f"CLIENTS: {path} describes no client {name!r}; it has: {known}" for name in unknown])
    wanted = [name for name in entries if not settings.clients or name in settings.clients]
    return Customers(
        {name: named[name] for name in wanted if name in named},
        {
            name: [f"{path}:{line_of(text, 'clients', name, key)}: {name}: {key}: {what}" for key, what in wrong[name]]
            for name in wanted
            if wrong[name]
        }
        | strangers,
    )


def _wrong(name: str, entry: Any) -> list[tuple[str, str]]:
    """What is wrong with the keys that every entry has: pairs of key and what."""
    wrong = []
    if not NAME.fullmatch(name):
        wrong.append(("name", "expected letters, digits, - and _: folders and files are called by it"))
    if not isinstance(entry, dict):
        return [*wrong, ("", f"expected a table [clients.{name}]")]
    texts = {key: entry[key] for key in TEXTS if key in entry}
    wrong += [(key, "expected a text") for key, value in texts.items() if not isinstance(value, str)]
    wrong += [(key, "expected a text that says something") for key, value in texts.items() if _is_blank(value)]
    if "kind" not in entry:
        wrong.append(("kind", "required, but missing; `clients list` names those that there are"))
    every = entry.get("every")
    if isinstance(every, str) and every.strip() and not EVERY.fullmatch(every):
        wrong.append(("every", "expected a time such as 15m or 1h"))
    for key, known in CHOICES.items():
        word = entry.get(key)
        if isinstance(word, str) and word.strip() and word not in known:
            wrong.append((key, f"expected one of {', '.join(known)}"))
    number = entry.get("number")
    if isinstance(number, str) and number.strip() and ID not in number:
        wrong.append(("number", "expected a text with {id}, such as SAP-{id}"))
    wrong += _wrong_authority(entry.get("authority", {}))
    zone = entry.get("timezone")
    if isinstance(zone, str) and zone.strip() and _zone(zone) is None:
        wrong.append(("timezone", "expected the name of a time zone, such as UTC or America/Sao_Paulo"))
    return wrong


def _wrong_authority(said: Any) -> list[tuple[str, str]]:
    if not isinstance(said, Mapping):
        return [("authority", 'expected a table such as { status = "client" }')]
    known = ", ".join(Authority)
    fields = [field for field, who in said.items() if not isinstance(who, str) or who not in set(Authority)]
    return [("authority", f"{field}: expected one of {known}") for field in fields]


def _stranger(name: str) -> str:
    near = get_close_matches(name, ("clients", "layouts"), 1)
    mean = f"did you mean {near[0]}? " if near else ""
    return f"there is nothing of this name: {mean}expected [clients.NAME] and [layouts.NAME]"


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None


def _customer(
    name: str, entry: Mapping[str, Any], settings: Settings, where: str, layouts: Mapping[str, Mapping[str, Any]]
) -> Customer:
    return Customer(
        name=name,
        kind=entry["kind"],
        timezone=ZoneInfo(entry["timezone"]) if "timezone" in entry else settings.client_timezone,
        layout=entry.get("layout"),
        layouts=layouts,
        flows=DIRECTIONS[entry.get("direction", "both")],
        on_unknown=entry.get("on_unknown", "report"),
        number=entry.get("number", "{id}"),
        authority={field: Authority(who) for field, who in entry.get("authority", {}).items()},
        database=entry.get("database", settings.database),
        collection=entry.get("collection", settings.mongo_collection),
        every=entry.get("every"),
        options={key: value for key, value in entry.items() if key not in {*TEXTS, *TABLES}},
        defaults={"durability": settings.durability},
        variables={"durability": "DURABILITY"},
        where=where,
    )


def _claims(customer: Customer) -> Iterator[Claim]:
    """The places that a customer's entry names: its collection, and each option that is called a folder or a file."""
    yield claimed_collection(customer.name, "collection", customer.database, customer.collection)
    for key, value in customer.options.items():
        if key.endswith(PLACES) and isinstance(value, str) and value.strip():
            yield claimed_path(customer.name, key, Path(value))
