"""Writes constraints.txt, what pip has to know of poetry.lock: ``python .ci/constraints.py``.

A line a locked package: its version, and for which systems. Extras and groups are left to pyproject.toml, hashes and
addresses to whoever installs. With it pip installs on any day what the lock says; a test holds the file to the lock.
"""

import tomllib
from functools import reduce
from pathlib import Path
from typing import Any, Final

from poetry.core.version.markers import AnyMarker, BaseMarker, parse_marker

ROOT: Final = Path(__file__).resolve().parents[1]
HEAD: Final = "# Made of poetry.lock by .ci/constraints.py: after every `poetry lock`, run that too.\n"


def constraints(lock: str) -> str:
    """The text of constraints.txt for the text of poetry.lock."""
    return HEAD + "".join(sorted(f"{_line(package)}\n" for package in tomllib.loads(lock)["package"]))


def _line(package: dict[str, Any]) -> str:
    systems = _systems(package)
    return f"{package['name']}=={package['version']}" + ("" if systems.is_any() else f" ; {systems}")


def _systems(package: dict[str, Any]) -> BaseMarker:
    """For which systems a package is wanted by any of its groups: ``markers`` is one text for all, or one for some."""
    markers = package.get("markers", "")
    texts = [markers] if isinstance(markers, str) else [markers.get(group, "") for group in package["groups"]]
    each = [parse_marker(text).without_extras() if text else AnyMarker() for text in texts]
    return reduce(lambda one, other: one.union(other), each)


if __name__ == "__main__":
    (ROOT / "constraints.txt").write_text(constraints((ROOT / "poetry.lock").read_text()))
