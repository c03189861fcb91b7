"""Find a kind of client by its name: a module of ours, an entry point, or ``package.module:name``."""

import ast
import pkgutil
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, cast

from msgspec import Struct

import pipeline.clients
from pipeline.clients.connector import ClientSettings, Connector
from pipeline.errors import WrongSettings

__all__ = ["Connect", "Kind", "find_client", "kinds", "options_of"]

Connect: TypeAlias = Callable[[ClientSettings], Connector]

GROUP: Final = "pipeline.clients"
EXTRAS: Final = {"httpx": "http"}
"""A package that may be missing -> the extra that brings it."""


class Kind(NamedTuple):
    """A kind of client that can be named, found without importing it."""

    name: str
    origin: str
    """``built in``, or the package that it comes from."""
    target: str
    """``module:function``."""
    says: str = ""
    """The first sentence of a built-in module."""


def kinds() -> list[Kind]:
    """All kinds that there are, by name; none is imported. Two of one name are both there."""
    found = _built_in()
    for entry in entry_points(group=GROUP):
        found.append(Kind(entry.name, _package(entry), entry.value))
    return sorted(found)


def find_client(name: str) -> Connect:
    """The function that makes clients of the kind ``name``; only this kind's module is imported.

    Raises WrongSettings where there is none of that name, naming those that there are; where several packages have one
    of that name; and where it cannot be loaded.
    """
    if ":" in name:
        return _load(name, name)
    known = kinds()
    found = [kind for kind in known if kind.name == name]
    if not found:
        raise WrongSettings([f"no client is of the kind {name!r}; known: {', '.join(kind.name for kind in known)}"])
    if len(found) > 1:
        origins = " and ".join(kind.origin for kind in found)
        raise WrongSettings(
            [f"several clients are of the kind {name!r}: {origins}; name the one that is meant as package.module:name"]
        )
    return _load(name, found[0].target)


def options_of(kind: Kind) -> type[Struct] | None:
    """What its clients read their options as: OPTIONS of the module of their ``connect``; None where that has none.

    Imports the module; raises WrongSettings where it cannot be loaded.
    """
    options = getattr(sys.modules.get(_load(kind.name, kind.target).__module__), "OPTIONS", None)
    return options if isinstance(options, type) and issubclass(options, Struct) else None


def _load(name: str, target: str) -> Connect:
    module, _, attribute = target.partition(":")
    try:
        return cast("Connect", getattr(import_module(module), attribute))
    except Exception as error:
        problem = f"clients of the kind {name!r} cannot be loaded: {type(error).__name__}: {error}"
        extra = EXTRAS.get(getattr(error, "name", None) or "")
        problem += f"; install the extra `{extra}`" if extra else ""
        raise WrongSettings([problem]) from error


def _built_in() -> list[Kind]:
    """Those of our modules that have a function ``connect``; the others are what clients share."""
    folder = Path(next(iter(pipeline.clients.__path__)))
    found = []
    for module in pkgutil.iter_modules([str(folder)]):
        path = folder / f"{module.name}.py"
        if not path.exists():
            continue
        tree = ast.parse(path.read_bytes())
        if any(isinstance(node, ast.FunctionDef) and node.name == "connect" for node in tree.body):
            says = (ast.get_docstring(tree) or "").partition("\n")[0]
            found.append(Kind(module.name, "built in", f"{GROUP}.{module.name}:connect", says))
    return found


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an installed package"
