"""Find a client by its name: a module of ours, an entry point, or ``package.module:name``."""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final, TypeAlias, cast

import pipeline.clients
from pipeline.clients.connector import ClientSettings, Connector
from pipeline.errors import WrongSettings

__all__ = ["Connect", "find_client"]

Connect: TypeAlias = Callable[[ClientSettings], Connector]

GROUP: Final = "pipeline.clients"


def find_client(name: str) -> Connect:
    """The function that makes the client ``name``; only this client's module is imported.

    Raises WrongSettings where there is none of that name, naming those that there are, or where it cannot be loaded.
    """
    plugins = {entry.name: entry for entry in entry_points(group=GROUP)}
    ours = [module.name for module in pkgutil.iter_modules(pipeline.clients.__path__)]
    try:
        if ":" in name:
            module, _, attribute = name.partition(":")
            return cast("Connect", getattr(import_module(module), attribute))
        if name in plugins:
            return cast("Connect", plugins[name].load())
        if name in ours:
            return cast("Connect", import_module(f"{GROUP}.{name}").connect)
    except Exception as error:
        problem = f"CLIENTS: the client {name!r} cannot be loaded: {type(error).__name__}: {error}"
        raise WrongSettings([problem]) from error
    known = ", ".join(sorted(_clients(ours) | set(plugins)))
    raise WrongSettings([f"CLIENTS: no client is called {name!r}; known: {known}"])


def _clients(modules: list[str]) -> set[str]:
    """Those modules that are clients and not what clients share."""
    return {name for name in modules if hasattr(import_module(f"{GROUP}.{name}"), "connect")}
