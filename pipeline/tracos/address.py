"""MONGO_URI as the driver itself reads it, and what is made of its options; nothing is sent, no DNS is asked."""

import re
import warnings
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from msgspec import Struct
from pymongo.common import URI_OPTIONS_VALIDATOR_MAP
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from pipeline.errors import WrongSettings

__all__ = ["Address", "durable", "read_address", "wrong_names"]

SRV: Final = "mongodb+srv://"

_WRONG: Final[tuple[tuple[str, str], ...]] = (
    (r"scheme", "it begins with neither mongodb:// nor mongodb+srv://"),
    (r"must be escaped", "user and password are to be percent-encoded, and a port is a number"),
    (r"percent-encod", "a `/` or `%` in it is to be percent-encoded"),
    (
        r"database name",
        "the database's name has what MongoDB does not allow, or the password a plain `/`: percent-encode it",
    ),
    (r"hostname or ip|empty host", "it names no host, or has a comma too many"),
    (r"port must", "a port is no number from 1 to 65535"),
    (r"key=value", "its options are no key=value pairs, or the password has a plain `?`: percent-encode it"),
    (r"conflicting", "two of its options contradict each other"),
    (r"multiple hosts", "directConnection or loadBalanced, and more than one host"),
    (r"duplicate", "it has an option twice"),
    (r"can not mix", "its options are parted by both & and ;"),
    (r"readable", "a file that one of its tls options names cannot be read"),
)
"""Words of the driver's complaint, and what is told instead: its own words may hold parts of the URI."""

_OPTION: Final = re.compile(r"[?&;]([^=&;]+)=")
_OPTIONS: Final = sorted(URI_OPTIONS_VALIDATOR_MAP)

_DATABASE: Final = re.compile(r'[/\\. "$\0\ud800-\udfff]')
_COLLECTION: Final = re.compile(r"[$\0\ud800-\udfff]|^\.|\.$|\.\.|^system\.|^$")


WTIMEOUT_MS: Final = 25_000
"""How long a write waits to be confirmed, where the URI says nothing."""

OF_PATIENCE: Final = 5 / 6
"""The part of the driver's patience after which an unconfirmed write is given up, so that the driver hears of it."""

SERVERS_OWN: Final = frozenset({"admin", "local", "config"})
"""Databases for no orders: who writes one of them behind the hosts of a URI means where users are looked up."""

DATABASE_BYTES: Final = 63
NAMESPACE_BYTES: Final = 250
"""Of database and collection: the server's 255, and room for the name of a collection of ours beside it."""


class Address(Struct, frozen=True):
    """What a URI says."""

    uri: str
    """As it is given to the driver."""
    shown: str
    """Scheme and hosts, without credentials and options."""
    database: str | None
    """The database that it names."""
    options: Mapping[str, Any]
    """Those that are there, by their names in small letters, as the driver has them: most timeouts in seconds."""


def read_address(uri: str) -> Address:
    """What ``uri`` says, read by the driver's own parser; white space around it is dropped.

    Raises WrongSettings, in a line that names what is wrong and holds nothing of the URI.
    """
    uri = uri.strip()
    is_srv = uri.startswith(SRV)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore")
            warnings.filterwarnings("error", message="Duplicate")
            said = parse_uri(_plain(uri) if is_srv else uri)
    except (PyMongoError, ValueError, TypeError, OSError, UserWarning) as error:
        raise WrongSettings([f"MONGO_URI: {_complaint(str(error), uri)}"]) from None
    hosts = ",".join(host if port is None or is_srv else f"{host}:{port}" for host, port in said["nodelist"])
    options = {name.lower(): value for name, value in said["options"].items()}
    return Address(uri, f"{SRV if is_srv else 'mongodb://'}{hosts}", said["database"], options)


def durable(options: Mapping[str, Any], patience: float, members: int = 1) -> tuple[dict[str, Any], list[str]]:
    """The write concern for a URI's ``options`` on a replica set of ``members`` that vote, and what of them was raised.

    Writes wait for a majority and the journal; what waits for more, or for a mode of the replica set's own, stays. They
    wait for less than the driver's ``patience`` in seconds (0: none). Raises WrongSettings for w=0, with which nobody
    hears what became of a write.
    """
    w, raised = options.get("w", "majority"), []
    if w in (0, "0"):
        raise WrongSettings(["MONGO_URI: w=0 leaves writes unacknowledged, so that no edit is safe; leave it out"])
    if isinstance(w, int) and (w == 1 or w < members // 2 + 1):
        raised.append(f"w={w}")
        w = "majority"
    if options.get("journal") is False:
        raised.append("journal=false")
    limits = [options.get("wtimeoutms") or WTIMEOUT_MS, int(patience * 1000 * OF_PATIENCE) or WTIMEOUT_MS]
    return {"w": w, "j": True, "wtimeout": min(limits)}, raised


def wrong_names(database: str, collection: str) -> list[str]:
    """What MongoDB does not allow of these names, in a line each."""
    wrong = []
    if _DATABASE.search(database) or not 0 < len(database.encode()) <= DATABASE_BYTES:
        wrong.append(f'the database {database!r}: expected 1 to 63 bytes without any of / \\ . " $ and blanks')
    if database in SERVERS_OWN:
        wrong.append(f"the database {database!r}: MongoDB's own; name one for the orders, and authSource={database}")
    if _COLLECTION.search(collection) or len(f"{database}.{collection}".encode(errors="replace")) > NAMESPACE_BYTES:
        wrong.append(f"the collection {collection!r}: expected a short name without $ that is not of `system.`")
    return wrong


def _plain(uri: str) -> str:
    """An SRV address as one that needs no DNS: the same but for the scheme and the options that go with it."""
    before, mark, options = uri.removeprefix(SRV).partition("?")
    parts = re.split(r"([&;])", options)
    kept = [part for part in parts[::2] if not part.lower().startswith("srv")]
    return f"mongodb://{before}{mark if kept else ''}{(parts[1] if len(parts) > 1 else '&').join(kept)}"


def _complaint(said: str, uri: str) -> str:
    said = said.lower()
    if "unknown option" in said:
        unknown = [name for name in map(str.lower, _OPTION.findall(uri)) if name not in _OPTIONS]
        near = [match for name in unknown for match in get_close_matches(name, _OPTIONS, 1, 0.8)]
        meant = f"; did you mean {near[0]}?" if near else ""
        return f"it has an option that the driver does not know, or the password a plain `?`{meant}"
    for words, what in _WRONG:
        if re.search(words, said):
            return what
    named = [name for name in _OPTIONS if re.search(rf"^(the value of )?{name} (must|is)", said)]
    return f"its option {named[0]} has a value that it cannot have" if named else "the driver cannot read it"
