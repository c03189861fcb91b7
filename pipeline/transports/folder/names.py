"""The names of files: that of an order is safe, readable, and reversible up to 200 bytes; what an ending is."""

import hashlib
from typing import Final
from urllib.parse import quote, unquote

__all__ = ["ARCHIVE", "NEW", "ending_of", "id_of", "name_of"]

ARCHIVE: Final = "archive"
"""The folder, in an inbound folder, into which files that are done are put away."""

REVERSIBLE: Final = 200
PREFIX: Final = 120
SUFFIX: Final = ".json"
CUT: Final = "~"
"""Stands between prefix and hash of an id that is too long; percent-encoded where an id itself holds it."""
NEW: Final = f"{CUT}new"
"""Ends the name of an order that has no id of the client's yet, before its suffix."""


def name_of(order_id: str, suffix: str = SUFFIX) -> str:
    """The name of the file for the order ``order_id``; different ids have different names.

    Everything but ASCII letters, digits, ``_``, ``-`` and ``.`` is percent-encoded, and a dot at the beginning too.
    What is longer than 200 bytes then is cut and ends in a hash of the whole.
    """
    safe = quote(order_id, safe="", errors="surrogatepass").replace(CUT, "%7E")
    if safe.startswith("."):
        safe = f"%2E{safe[1:]}"
    if len(safe) > REVERSIBLE:
        digest = hashlib.blake2b(order_id.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        safe = f"{safe[:PREFIX]}{CUT}{digest}"
    return safe + suffix


def id_of(name: str) -> str | None:
    """The id that ``name`` was made of, or None where only its hash is left."""
    return None if CUT in name else unquote(name.removesuffix(SUFFIX), errors="surrogatepass")


def ending_of(name: str) -> str:
    """How a file's name ends, in lower case, such as ``.txt``; ``.csv.gz`` is one ending; empty where there is none."""
    stem, dot, last = name.lower().rpartition(".")
    if not dot or not stem:
        return ""
    return ending_of(stem) + ".gz" if last == "gz" else f".{last}"
