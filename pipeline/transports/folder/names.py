"""The file name of an order: safe, readable, and reversible up to 200 bytes."""

import hashlib
from typing import Final
from urllib.parse import quote, unquote

__all__ = ["id_of", "name_of"]

REVERSIBLE: Final = 200
PREFIX: Final = 120
SUFFIX: Final = ".json"
CUT: Final = "~"
"""Stands between prefix and hash of an id that is too long; percent-encoded where an id itself holds it."""


def name_of(order_id: str, suffix: str = SUFFIX) -> str:
    """The name of the file for the order ``order_id``; different ids have different names.

    Everything but ASCII letters, digits, ``_``, ``-`` and ``.`` is percent-encoded, and a dot at the beginning too.
    What is longer than 200 bytes then is cut and ends in a hash of the whole.
    """
    safe = quote(order_id, safe="").replace(CUT, "%7E")
    if safe.startswith("."):
        safe = f"%2E{safe[1:]}"
    if len(safe) > REVERSIBLE:
        digest = hashlib.blake2b(order_id.encode(), digest_size=16).hexdigest()
        safe = f"{safe[:PREFIX]}{CUT}{digest}"
    return safe + suffix


def id_of(name: str) -> str | None:
    """The id that ``name`` was made of, or None where only its hash is left."""
    return None if CUT in name else unquote(name.removesuffix(SUFFIX))
