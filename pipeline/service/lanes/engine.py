"""What an engine is: something that runs errands on other machines; each is a file in ``pipeline/service/engines``."""

import pkgutil
from abc import ABC, abstractmethod
from importlib import import_module
from typing import Final, cast

from pipeline.dataflow.ports import Resource
from pipeline.errors import WrongSettings
from pipeline.service import engines

__all__ = ["Engine", "Lost", "find_engine"]

EXTRAS: Final = {"dask": "dask", "distributed": "dask"}
"""A package that may be missing -> the extra that brings it."""


class Lost(Exception):
    """Whoever had the errand is gone: how much of it was done, nobody knows. The text says who it was."""


class Engine(Resource, ABC):
    """Runs errands elsewhere, many at once. Opening it raises Fatal where it cannot be reached."""

    slots: int
    """How many errands make sense at once; known once it is open."""

    @abstractmethod
    async def submit(self, errand: bytes) -> bytes:
        """What ``errand.run`` makes of it, somewhere.

        It may be run more than once, also side by side. Raises Lost where what it makes of it cannot be told, and Fatal
        where nobody can be had to run it. Cancelled, it is not run any more, unless somebody has begun.
        """


def find_engine(url: str) -> Engine:
    """The engine that the scheme of ``url`` names: of ``dask+tls://...`` the module ``dask``, which gets the whole.

    Raises WrongSettings where there is none, or it cannot be loaded.
    """
    name = url.partition("://")[0].partition("+")[0]
    known = sorted(module.name for module in pkgutil.iter_modules(engines.__path__))
    if "://" not in url or name not in known:
        raise WrongSettings([f"ENGINE: expected the address of one of: {', '.join(known)}; such as dask://HOST:8786"])
    try:
        return cast("Engine", import_module(f"{engines.__name__}.{name}").connect(url))
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        install = f"; install the extra `{extra}`" if extra else ""
        raise WrongSettings([f"ENGINE: {name} needs {error.name}{install}"]) from error
