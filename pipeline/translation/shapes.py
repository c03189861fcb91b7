"""The shape of a client's record: which keys it has, nested ones and those in arrays too, whatever their values."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from pipeline.translation.paths import Path, json_path

__all__ = ["Shape", "named", "outermost", "paths_of", "shape_of"]

Shape: TypeAlias = tuple[Any, ...]
"""Of an object: its keys, then the shapes of those values that have one, each behind the number of its key. Of an
array: None and the shapes of its first elements, each once. Records of one shape have the same keys in one order."""

DEPTH: Final = 8
"""How deep keys are looked at."""
ELEMENTS: Final = 20
"""How many elements of an array are looked at."""
LONGEST: Final = 120
"""Characters of a path; a longer one is no key that somebody has named."""


def shape_of(data: Mapping[str, Any], depth: int = DEPTH) -> Shape:
    """The shape of an object; cheap, and can be a key of a dict."""
    keys: Shape = tuple(data)
    nested: list[Any] = []
    for number, value in enumerate(data.values()):
        kind = type(value)
        if (kind is dict or kind is list) and value and depth > 1:
            nested += (number, shape_of(value, depth - 1) if kind is dict else _array(value, depth - 1))
    return (keys, *nested)


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


def _array(values: list[Any], depth: int) -> Shape:
    shapes = dict.fromkeys(shape_of(value, depth) for value in values[:ELEMENTS] if type(value) is dict)
    return (None, *shapes)


def _paths(shape: Shape, at: str) -> Iterator[str]:
    keys = [f"{at}{_step(key)}" for key in shape[0]]
    for path in keys:
        if len(path) <= LONGEST:
            yield path
    for number, nested in zip(shape[1::2], shape[2::2], strict=True):
        if len(keys[number]) > LONGEST:
            continue
        if nested[0] is None:
            for one in nested[1:]:
                yield from _paths(one, f"{keys[number]}[]")
        else:
            yield from _paths(nested, keys[number])


@lru_cache(maxsize=4096)
def _step(key: str) -> str:
    """One key of a path, on one line whatever is in it."""
    return json_path((key,)).removeprefix("$") if key.isprintable() else json_path((ascii(key)[1:-1],))[1:]
