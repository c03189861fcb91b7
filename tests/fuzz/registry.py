"""The registry of targets: a target is a plain function of bytes that raises only where a law is broken."""

import pkgutil
import time
from collections.abc import Callable, Sequence
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypeAlias

Run: TypeAlias = Callable[[bytes], None]

FOUND = Path(__file__).parent / "found"
"""Inputs that have broken a law once, a folder a target."""

SECONDS = 1.0
"""What no execution may take."""

_TARGETS: dict[str, "Target"] = {}


class Target(NamedTuple):
    """One parser, or a few that belong together, with the law that they keep."""

    name: str
    run: Run
    seeds: Sequence[bytes]
    """Small inputs that are understood, or nearly."""
    says: str
    """The law."""
    share: float
    """How many executions it gets, beside others: less where it is slow."""

    @property
    def found(self) -> list[bytes]:
        """What has broken a law of it once."""
        return [path.read_bytes() for path in sorted((FOUND / self.name).glob("*"))]

    @property
    def corpus(self) -> list[bytes]:
        """What mutations begin with."""
        return [b"", *self.seeds, *self.found]


def target(name: str, *seeds: bytes, share: float = 1) -> Callable[[Run], Run]:
    """Make a function the target ``name``; its docstring is the law, and that it takes no second another."""

    def kept(run: Run) -> Run:
        _TARGETS[name] = Target(name, _quick(run), seeds, (run.__doc__ or "").partition("\n")[0], share)
        return run

    return kept


def _quick(run: Run) -> Run:
    @wraps(run)
    def measured(data: bytes) -> None:
        began = time.process_time()  # of all threads; others on this machine do not count
        run(data)
        took = time.process_time() - began
        if took > SECONDS:
            raise AssertionError(f"{len(data):,} bytes take {took:.1f} s")

    return measured


@cache
def targets() -> dict[str, Target]:
    """All targets, by name."""
    package = import_module("tests.fuzz.targets")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_TARGETS.items()))
