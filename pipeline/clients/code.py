"""What a client's own code is: other code may understand the same bytes otherwise."""

import hashlib
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.translation.layout import Layout

__all__ = ["code_of"]


def code_of(client: type, layouts: Iterable[Layout[Any]]) -> str:
    """A digest of the modules that the class of a client, what it inherits from, and its layouts are in."""
    layouts = tuple(layouts)
    modules = {kind.__module__ for kind in client.__mro__}
    for layout in layouts:
        modules |= {getattr(one, "__module__", "") for one in (layout.validate, layout.to_record, layout.project)}
    told = [
        f"{client.__qualname__}",
        *(layout.code for layout in layouts),
        *(f"{name} {_digest(name)}" for name in sorted(modules - {"builtins"})),
    ]
    return hashlib.blake2b("\n".join(told).encode(), digest_size=12).hexdigest()


@lru_cache
def _digest(module: str) -> str:
    """Of the module's source; empty where it has none."""
    path = getattr(sys.modules.get(module), "__file__", None)
    try:
        return hashlib.blake2b(Path(path).read_bytes(), digest_size=12).hexdigest() if path else ""
    except OSError:
        return ""
