"""The shape of a client's record: which keys it has, nested ones and those in arrays too, whatever their values."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from pipeline.translation.paths import Path, json_path, step_to

__all__ = ["Shape", "named", "outermost", "paths_of", "shape_of"]

Shape: TypeAlias = tuple[Any, ...]
"""Of an object: its keys; where some of its values have a shape, those keys as one tuple, and behind it each such key
with the shape of its value. Of an array: None, and the shapes of its first elements, each once. Records of one shape
have the same keys in the same order."""

DEPTH: Final = 8
"""How deep keys are looked at."""
ELEMENTS: Final = 2
"""How many elements of an array are looked at."""
LONGEST: Final = 120
"""Characters of a path; a longer one is no key that somebody has named."""

_step: Final = lru_cache(maxsize=4096)(step_to)

_INNER: Final = frozenset((dict, list))


def shape_of(data: Mapping[str, Any], depth: int = DEPTH) -> Shape:
    """The shape of an object; cheap, and can be a key of a dict."""
    keys = tuple(data)
    if depth == 1 or _INNER.isdisjoint(map(type, data.values())):
        return keys
    shape: list[Any] = [keys]
    for key, value in data.items():
        if value.__class__ is dict:
            shape.append((key, shape_of(value, depth - 1)))
        elif value.__class__ is list and value and value[0].__class__ is dict:
            shapes = dict.fromkeys(shape_of(one, depth - 1) for one in value[:ELEMENTS] if one.__class__ is dict)
            shape.append((key, (None, *shapes)))
    return tuple(shape)


def paths_of(shape: Shape) -> frozenset[str]:
    """All keys of a shape as JSON paths, with ``[]`` for the elements of an array: ``$.parts[].code``."""
    return frozenset(_paths(shape, "$"))


def named(paths: Iterable[Path]) -> frozenset[str]:
    """The JSON paths of what a table names, and of all that is on the way there."""
    return frozenset(json_path(path[:depth]) for path in paths for depth in range(1, len(path) + 1))


def outermost(paths: Collection[str]) -> tuple[str, ...]:
    """Those of ``paths`` that do not lie in another of them, sorted."""
    found: list[str] = []
    for path in sorted(paths):
        if not any(path.startswith((f"{one}.", f"{one}[")) for one in found):
            found.append(path)
    return tuple(found)


def _paths(shape: Shape, at: str) -> Iterator[str]:
    keys, nested = (shape[0], shape[1:]) if shape and shape[0].__class__ is tuple else (shape, ())
    for key in keys:
        path = at + _step(key)
        if len(path) <= LONGEST:
            yield path
    for key, inner in nested:
        path = at + _step(key)
        if len(path) > LONGEST:
            continue
        if inner[:1] == (None,):
            for one in inner[1:]:
                yield from _paths(one, f"{path}[]")
        else:
            yield from _paths(inner, path)
