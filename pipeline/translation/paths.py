"""Paths in a client's record: what is at the end of one, how it is shown, and how it is made."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pipeline.errors import Reason

__all__ = ["Path", "getter", "json_path", "missing", "put", "step_to"]

Path: TypeAlias = tuple[str, ...]
"""The keys on the way to a value."""


def getter(path: Path) -> Callable[[Mapping[str, Any]], Any]:
    """The function that gives what a record has at ``path``: None where there is nothing or null.

    Where something else than an object is on the way, that is a Reason in place of a value.
    """
    if len(path) == 1:
        (key,) = path
        return lambda data: data.get(key)

    def get(data: Mapping[str, Any]) -> Any:
        said: Any = data
        for depth, key in enumerate(path):
            if said is None or isinstance(said, Reason):
                return said
            if not isinstance(said, Mapping):
                return Reason("not an object", json_path(path[:depth]))
            said = said.get(key)
        return said

    return get


def json_path(path: Path) -> str:
    """``$.workOrder.ref``: one line, whatever the keys are."""
    return "$" + "".join(map(step_to, path))


def step_to(key: str) -> str:
    """One step of a JSON path: ``.ref``, or ``['a.b']``; what cannot be printed is an escape."""
    shown = key if key.isprintable() else ascii(key)[1:-1]
    return f".{shown}" if "." not in shown else f"['{shown}']"


def missing(data: Mapping[str, Any], path: Path) -> str:
    """What to say of a value that must be there, and is not."""
    around = getter(path[:-1])(data)
    return "required, but null" if isinstance(around, Mapping) and path[-1] in around else "required, but missing"


def put(data: dict[str, Any], path: Path, value: Any) -> None:
    """Set what is at ``path``; the objects on the way are made."""
    for key in path[:-1]:
        data = data.setdefault(key, {})
    data[path[-1]] = value
